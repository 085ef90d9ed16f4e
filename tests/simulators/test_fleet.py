"""The fleet on a real Mosquitto: births, Wills, acknowledgements, a broker that goes away."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devices.kinds import KINDS
from devices.probe.client import Broker
from devices.topics import parse_topic
from devices.wire import decode, decode_status
from simulators.fleet import Access, Fleet, Timebase
from simulators.run import Run
from tests.faults.proxy import Proxy
from tests.project.broker import Client, Installation, free_port, program, wait_for
from tests.simulators.country import START_MS, country, run_of

pytestmark = pytest.mark.mosquitto
PLAIN = "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 100000\n"
PROBE = "probe-fibre"


@contextmanager
def mosquitto(directory: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    file = directory / "mosquitto.conf"
    file.write_text(PLAIN.format(port=port) + ("user root\n" if os.getuid() == 0 else ""))
    with subprocess.Popen([program("mosquitto"), "-c", str(file)], stderr=-3) as process:
        try:
            wait_for(lambda: answers(port), "Mosquitto listens")
            yield process
        finally:
            process.terminate()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def timebase(speed: float) -> Timebase:
    origin = time.monotonic()
    return Timebase(lambda: START_MS + round((time.monotonic() - origin) * 1000 * speed), speed)


def fleet_of(run: Run, port: int, *, speed: float, access: Access | None = None) -> Fleet:
    return Fleet(
        Broker("127.0.0.1", port), run.identities, access or Access(), timebase=timebase(speed)
    )


@contextmanager
def playing(fleet: Fleet, run: Run) -> Iterator[Callable[[], None]]:
    """The fleet in a thread; yields a function that tells it to stop."""
    stop = threading.Event()
    thread = threading.Thread(target=fleet.play, args=(run.steps(), stop.is_set))
    thread.start()
    try:
        yield stop.set
    finally:
        stop.set()
        thread.join(15)
        assert not thread.is_alive()


def rounds_in(received: list[tuple[str, bytes]]) -> set[tuple[str, int, float]]:
    """(device, event time, first value) of every round published."""
    registry = country()
    found = set()
    for topic, payload in received:
        where = parse_topic(topic)
        if where.channel != "status":
            kind = KINDS[registry.devices[where.device].kind]
            for said in decode(payload, kind, 0).rounds:
                found.add((where.device, said.at_ms, next(iter(said.values.values()))))
    return found


def rounds_of(run: Run) -> set[tuple[str, int, float]]:
    """The same of a run's steps, without a broker."""
    steps = [step for step in run.steps() if step.payload]
    topics = [(run.identities[s.device].topic(s.what), s.payload) for s in steps]
    return rounds_in(topics)


def states(received: list[tuple[str, bytes]], device: str) -> list[str]:
    """What a device's status messages said, in order."""
    return [
        decode_status(payload).state
        for topic, payload in received
        if topic.endswith(f"/{device}/status")
    ]


def test_a_run_reaches_the_broker_whole(tmp_path: Path) -> None:
    """Every round of every device arrives once, live, between its birth and its farewell."""
    port = free_port()
    run = run_of(minutes=5)
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/#")
        fleet = fleet_of(run, port, speed=300)
        with playing(fleet, run):
            wait_for(lambda: len(rounds_in(listener.received)) == len(rounds_of(run)), "all rounds")
            everybody = country().devices
            wait_for(
                lambda: all(states(listener.received, d)[-1:] == ["offline"] for d in everybody),
                "farewells",
            )
        assert rounds_in(listener.received) == rounds_of(run_of(minutes=5))
        for device in country().devices:
            assert states(listener.received, device) == ["online", "offline"]
        late = [topic for topic, _ in listener.received if topic.endswith("/backfill")]
    assert not late
    assert fleet.pending == 0
    assert fleet.tally.connects == len(country().devices)


def test_a_silent_device_is_cut_so_that_its_will_is_sent(tmp_path: Path) -> None:
    """A hard disconnect brings the retained Will at once, and the return a new birth."""
    port = free_port()
    silence = {"type": "silence", "device": PROBE, "start": "90s", "duration": "3m"}
    run = run_of(silence, minutes=8)
    minute = 1  # the clock goes on when the broker has told what was said until then
    clock = Timebase(lambda: START_MS + minute * 60_000, 1.0)
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/#")
        fleet = Fleet(Broker("127.0.0.1", port), run.identities, Access(), timebase=clock)
        with playing(fleet, run):
            wait_for(lambda: states(listener.received, PROBE) == ["online"], "birth")
            minute = 3
            wait_for(lambda: states(listener.received, PROBE)[1:] == ["offline"], "Will")
            minute = 7
            wait_for(lambda: states(listener.received, PROBE)[2:] == ["online"], "birth again")
    births = [decode_status(p) for t, p in listener.received if t.endswith(f"{PROBE}/status")]
    assert births[0].kind == "connectivity-probe"
    assert births[0].interval_s == 60
    assert births[0].boot == births[1].boot == births[2].boot


def test_nothing_is_lost_when_the_way_to_the_broker_is_cut(tmp_path: Path) -> None:
    """Rounds that were not acknowledged, or that fell due in the outage, all come after it."""
    port = free_port()
    run = run_of(minutes=10)
    with (
        mosquitto(tmp_path, port),
        Client().connected(port) as listener,
        Proxy(port).running() as way,
    ):
        listener.subscribe("gov/v1/#")
        fast = timebase(200)
        slow = Timebase(fast.now_ms, 1.0)  # three intervals are less than a second
        fleet = Fleet(Broker("127.0.0.1", way.port), run.identities, Access(), timebase=slow)
        with playing(fleet, run):
            wait_for(lambda: len(rounds_in(listener.received)) > 40, "the first rounds")
            way.cut()
            wait_for(lambda: fleet.connected == 0, "the fleet notices")
            before = len(rounds_in(listener.received))
            wait_for(lambda: fleet.pending > 80, "outboxes fill")
            way.mend()
            wait_for(lambda: rounds_in(listener.received) == rounds_of(run), "every round")
        late = [topic for topic, _ in listener.received if topic.endswith("/backfill")]
    assert before < len(rounds_of(run)) - 60
    assert late
    assert fleet.tally.lost == len(country().devices)
    assert fleet.tally.dropped == 0


def least_of(rounds: set[tuple[str, int, float]]) -> int:
    """How many of these rounds the device has that has the fewest."""
    counted = Counter(device for device, _, _ in rounds)
    return min(counted[device] for device in country().devices)


def receipt(port: int, device: str, said: bytes) -> None:
    """Tell a device what the platform would."""
    with Client("platform").connected(port) as platform:
        platform.publish(f"gov/v1/LA-LP/{device}/receipt", said, retain=True)


def test_a_device_keeps_each_round_until_its_receipt(tmp_path: Path) -> None:
    """What has a receipt goes; the rest is sent again when the platform asks for it."""
    port = free_port()
    run = run_of(minutes=600)
    boot = run.identities[PROBE].boot
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/LA-LP/+/backfill")
        fleet = fleet_of(run, port, speed=600)
        with playing(fleet, run):
            wait_for(lambda: fleet.tally.acknowledged > 300, "the first rounds")
            receipt(port, PROBE, f'{{"boot":"{boot}","seq":5}}'.encode())
            wait_for(lambda: fleet.tally.receipted == 5, "five rounds go")
            assert fleet.unreceipted > 100
            ask = f'{{"boot":"{boot}","from":4,"to":8}}'.encode()
            listener.publish(f"gov/v1/LA-LP/{PROBE}/resend", ask)
            wait_for(lambda: bool(listener.received), "the answer")
        (_, payload), *_ = listener.received
        said = decode(payload, KINDS["connectivity-probe"], 0)
    assert (said.boot, [one.seq for one in said.rounds]) == (boot, [6, 7, 8])
    assert fleet.tally.dropped == 0


def test_a_full_outbox_drops_the_oldest_and_counts(tmp_path: Path) -> None:
    """While the broker is away a device keeps so many rounds; what it drops is known."""
    port, devices = free_port(), country().devices
    run = run_of(minutes=200)
    with (
        mosquitto(tmp_path, port),
        Client().connected(port) as listener,
        Proxy(port).running() as way,
    ):
        listener.subscribe("gov/v1/#")
        way.cut()
        broker = Broker("127.0.0.1", way.port)
        fleet = Fleet(broker, run.identities, Access(), timebase=timebase(20_000), keep=50)
        with playing(fleet, run):
            wait_for(lambda: fleet.tally.dropped >= 100 * len(devices), "rounds are dropped")
            way.mend()
            wait_for(lambda: fleet.pending == 0, "the rest is sent")
        wait_for(
            lambda: least_of(rounds_in(listener.received)) >= 50,
            lambda: f"{least_of(rounds_in(listener.received))} of 50 kept rounds of each arrive",
        )
        found = {r[:2] for r in rounds_in(listener.received)}
    # One that is dropped while it is on its way may arrive all the same.
    assert 200 * len(devices) - len(found) <= fleet.tally.dropped


def test_shared_connections_carry_all_devices(tmp_path: Path) -> None:
    """With --connections two sessions publish for everybody, births included."""
    port = free_port()
    run = run_of(minutes=3)
    with mosquitto(tmp_path, port), Client().connected(port) as listener:
        listener.subscribe("gov/v1/#")
        fleet = fleet_of(run, port, speed=300, access=Access(shared=2))
        assert fleet.connections == 2
        with playing(fleet, run):
            wait_for(lambda: rounds_in(listener.received) == rounds_of(run), "all rounds")
        assert all(states(listener.received, d)[0] == "online" for d in country().devices)
    assert fleet.tally.connects == 2


def test_devices_log_in_as_themselves(tmp_path: Path) -> None:
    """With credentials each device is its own user, so that the broker's ACL lets it publish."""
    installation = Installation(tmp_path / "broker")
    names = sorted(country().devices)
    installation.write(*names)
    run = run_of(minutes=2)
    with installation.running(), installation.client("ingest") as ingest:
        ingest.subscribe("gov/v1/#")
        access = Access(passwords=installation.passwords)
        fleet = fleet_of(run, installation.port, speed=300, access=access)
        with playing(fleet, run):
            wait_for(lambda: rounds_in(ingest.received) == rounds_of(run), "all rounds")
        wrong = fleet_of(run, installation.port, speed=300, access=Access({PROBE: "wrong"}))
        with playing(wrong, run):
            wait_for(lambda: "uthori" in wrong.tally.refused, "the refusal is known")
