"""Mosquitto killed under load: what it has acknowledged and loses, with and without outboxes."""

from __future__ import annotations

import json
import random
from datetime import datetime
from pathlib import Path

import pytest

from simulators.fleet import Fleet
from tests.faults.fleet import START, World, playing, probes, run_of, world
from tests.faults.guarantees import record, seed, size
from tests.project.broker import Client, wait_for

pytestmark = [pytest.mark.guarantee, pytest.mark.mosquitto]
SPEED = 60.0
GIVING_UP_SPEED = 200.0  # ten minutes in three seconds


def test_with_outboxes_no_round_is_lost(tmp_path: Path) -> None:
    """However often it is killed, every round of every device is stored in the end."""
    kills, devices = size(quick=1, long=5), size(quick=40, long=150)
    registry = probes(devices, interval_s=15.0)
    with world(tmp_path, registry, speed=SPEED) as country:
        run = run_of(registry, country.clock.now_ms(), 6 + 8 * kills)
        total = sum(len(step.rounds) for step in run.steps())
        lost_by_broker = 0
        with playing(country, run) as fleet:
            for _ in range(kills):
                lost_by_broker += _kill_with_messages_on_the_way(country, fleet, devices)
            wait_for(lambda: country.received() == total, f"{total} rounds are stored", 120)
            wait_for(lambda: country.numbered() == {"waiting": 0, "lost": 0}, "no gap", 30)
            wait_for(lambda: fleet.unreceipted == 0, "every round has its receipt", 60)
        lost = total - country.received()
    figure = (
        f"{lost} of {total:,} over {kills} kills, {lost_by_broker:,} acknowledged and lost by it"
    )
    record("broker-outbox", figure, met=lost == 0)
    assert lost == fleet.tally.dropped == 0


def _kill_with_messages_on_the_way(country: World, fleet: Fleet, devices: int) -> int:
    """Kill ingest, let the fleet go on, then kill the broker; how many messages it took along."""
    wait_for(lambda: country.received() > 0, "rounds are stored", 30)
    country.platform.kill("ingest")
    stored, before = country.received(), fleet.tally.acknowledged
    wait_for(lambda: fleet.tally.acknowledged > before + 2 * devices, "some more", 30)
    lost = fleet.tally.acknowledged - before
    country.kill_broker()
    wait_for(lambda: country.received() > stored + 4 * devices, "it goes on", 60)
    return lost


def test_without_outboxes_what_was_lost_is_known_exactly(tmp_path: Path) -> None:
    """The missing ranges are all that never came, and no round that came is among them."""
    chance = random.Random(seed())
    devices, kills = size(quick=6, long=40), size(quick=2, long=10)
    registry = probes(devices, interval_s=60.0)
    with (
        world(tmp_path, registry, speed=GIVING_UP_SPEED) as country,
        Client("plain").connected(country.platform.port) as client,
    ):
        plain = _Plain(country, client, sorted(registry.devices), chance)
        for _ in range(kills):
            plain.say(chance.randrange(20, 60))
            country.platform.kill("ingest")
            plain.say(chance.randrange(20, 60))
            sessions = country.sessions()
            country.kill_broker()
            wait_for(lambda: client.is_connected, "the devices are back", 60)
            country.wait_for_session(sessions + 1)
        wait_for(lambda: country.platform.get("/stats")["messages_pending"] == 0, "idle", 30)
        plain.say(5, each=True)
        lost = plain.lost()
        wait_for(lambda: plain.listed() == lost, "what was lost is listed", 60)
        ranges, rounds = plain.ranges(), sum(len(numbers) for numbers in lost.values())
        assert country.numbered() == {"waiting": 0, "lost": rounds}
    assert rounds > 0
    figure = f"all {rounds:,} lost rounds in {ranges:,} ranges, 0 false, over {kills} kills"
    record("broker-plain", figure, met=True)


class _Plain:
    """Devices that number their rounds and forget what the broker has acknowledged."""

    def __init__(
        self, country: World, client: Client, names: list[str], chance: random.Random
    ) -> None:
        self._country = country
        self._client = client
        self._said: dict[str, dict[int, int]] = {name: {} for name in names}  # time to number
        self._chance = chance

    def say(self, rounds: int, *, each: bool = False) -> None:
        """So many rounds of devices by chance, or of each; all are acknowledged."""
        for _ in range(rounds):
            for name in self._said if each else self._chance.choices(list(self._said), k=3):
                said = self._said[name]
                at_ms = max(self._country.clock.now_ms(), max(said, default=0) + 1)
                number = len(said) + 1
                said[at_ms] = number
                payload = {"v": 1, "boot": "b", "seq": number, "ts": at_ms, "m": {"dns_ms": 1.0}}
                topic = f"gov/v1/LA-LP/{name}/telemetry"
                self._client.publish_soon(topic, json.dumps(payload).encode())
        self._client.wait_published()

    def lost(self) -> dict[str, set[int]]:
        """By device, the numbers of the rounds that are not in the store, once the last are."""
        last = {name: max(said.values()) for name, said in self._said.items()}
        wait_for(
            lambda: all(last[name] in self._stored(name) for name in last),
            "the last are stored",
            30,
        )
        return {n: set(said.values()) - self._stored(n) for n, said in self._said.items()}

    def listed(self) -> dict[str, set[int]]:
        """By device, the numbers that the platform says are lost."""
        return {
            name: {n for one in self._lost_of(name) for n in range(one["first"], one["last"] + 1)}
            for name in self._said
        }

    def ranges(self) -> int:
        """How many ranges that are."""
        return sum(len(self._lost_of(name)) for name in self._said)

    def _lost_of(self, name: str) -> list[dict[str, int]]:
        boots = self._country.platform.get(f"/devices/{name}/sequences")["boots"]
        return [one for boot in boots for one in boot["lost"]]

    def _stored(self, name: str) -> set[int]:
        rows = self._country.platform.items(
            f"/devices/{name}/telemetry", metric="dns_ms", **{"from": START}, limit=1000
        )
        return {self._said[name][_ms(row["at"])] for row in rows}


def _ms(at: str) -> int:
    """Milliseconds since 1970 UTC."""
    return round(datetime.fromisoformat(at).timestamp() * 1000)
