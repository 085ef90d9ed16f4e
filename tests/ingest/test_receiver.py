"""The receiver against a real Mosquitto: nothing is acknowledged before it is in the journal."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from ingest.journal import JournalReader, JournalWriter, Record
from ingest.latency import Latency
from ingest.receiver import KEEPALIVE_S, RECEIVE_TO_ACK, Broker, Receiver
from ingest.steadiness import Steadiness
from tests.faults.proxy import Proxy
from tests.project.broker import Client, free_port, program, wait_for

pytestmark = pytest.mark.mosquitto
TOPIC = "gov/v1/LA-LP/probe-1/telemetry"
CONFIGURATION = """listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 2000
max_queued_messages 100000
"""


@contextmanager
def mosquitto(directory: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    file = directory / "mosquitto.conf"
    file.write_text(CONFIGURATION.format(port=port) + ("user root\n" if os.getuid() == 0 else ""))
    with subprocess.Popen([program("mosquitto"), "-c", str(file)], stderr=-3) as process:
        try:
            yield process
        finally:
            process.terminate()


@contextmanager
def receiving(journal: JournalWriter, port: int) -> Iterator[Receiver]:
    stop = threading.Event()
    broker = Broker("127.0.0.1", port, "receiver-test")
    receiver = Receiver(
        broker,
        journal,
        now_ms=lambda: time.time_ns() // 1_000_000,
        group_messages=500,
        group_s=0.02,
    )
    failures: list[BaseException] = []

    def run() -> None:
        try:
            receiver.run(stop.is_set)
        except BaseException as exc:
            failures.append(exc)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_for(connected(journal), "the receiver is connected")
        yield receiver
    finally:
        stop.set()
        thread.join(10)
    assert not failures


def connected(journal: JournalWriter) -> Callable[[], bool]:
    return lambda: journal.head.connection(time.monotonic_ns()) > 0


def reaches(journal: JournalWriter, position: int) -> bool:
    return journal.position >= position


def read(directory: Path) -> list[Record]:
    reader = JournalReader(directory, 0)
    found: list[Record] = []
    while batch := reader.read(max_records=1000):
        found += batch
    return found


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    with mosquitto(tmp_path, port):
        wait_for(lambda: _answers_or_not(port), "Mosquitto listens")
        yield port


def _answers(port: int) -> bool:
    with Client().connected(port):
        return True


def test_messages_are_journalled_in_order_with_topic_and_payload(tmp_path: Path, port: int) -> None:
    """What a device publishes is in the journal, in its order."""
    journal = JournalWriter(tmp_path / "j", max_bytes=2**30)
    with receiving(journal, port), Client().connected(port) as client:
        client.publish_many(TOPIC, 500)
        wait_for(lambda: journal.position == 500, "all are in the journal")
    found = read(tmp_path / "j")
    assert [record.payload for record in found] == [b"%d" % n for n in range(500)]
    assert {record.topic for record in found} == {TOPIC}
    assert not any(record.retained for record in found)


def test_the_time_from_arrival_to_acknowledgement_is_measured(tmp_path: Path, port: int) -> None:
    """Every acknowledgement is in a histogram that other processes read and that stays."""
    journal = JournalWriter(tmp_path / "j", max_bytes=2**30)
    for _ in range(2):
        with receiving(journal, port), Client().connected(port) as client:
            wanted = journal.position + 250
            client.publish_many(TOPIC, 250)
            wait_for(partial(reached, journal, wanted), "all are in the journal")
        found = Latency.shared(tmp_path / "j" / RECEIVE_TO_ACK).summary()
        assert found["count"] == wanted
        assert 0 < found["sum"] / wanted < 1000
    assert wanted == 500


def reached(journal: JournalWriter, position: int) -> bool:
    return journal.position == position


def test_a_retained_message_is_marked(tmp_path: Path, port: int) -> None:
    """What the broker kept from before is told from what is sent now."""
    with Client().connected(port) as client:
        client.publish("gov/v1/LA-LP/probe-1/status", b"{}", retain=True)
    journal = JournalWriter(tmp_path / "j", max_bytes=2**30)
    with receiving(journal, port):
        wait_for(lambda: journal.position == 1, "the retained message is there")
    assert read(tmp_path / "j")[0].retained


def test_the_broker_holds_what_comes_while_the_receiver_is_away(tmp_path: Path, port: int) -> None:
    """The session outlives the receiver: nothing that is published meanwhile is lost."""
    journal = JournalWriter(tmp_path / "j", max_bytes=2**30)
    with receiving(journal, port):
        pass
    with Client().connected(port) as client:
        client.publish_many(TOPIC, 100)
    with receiving(journal, port):
        wait_for(lambda: journal.position == 100, "the backlog is there")
    assert [record.payload for record in read(tmp_path / "j")] == [b"%d" % n for n in range(100)]


def test_a_full_journal_stops_intake_and_loses_nothing(tmp_path: Path, port: int) -> None:
    """At its bound the journal refuses; the broker holds the rest until there is room again."""
    journal = JournalWriter(tmp_path / "j", max_bytes=16 * 2**20)
    payloads = [b"%d" % n + b"x" * 500_000 for n in range(60)]
    with receiving(journal, port), Client().connected(port) as client:
        for payload in payloads:
            client.publish(TOPIC, payload)
        wait_for(lambda: not connected(journal)(), "intake stops")
        reader = JournalReader(tmp_path / "j", 0)
        seen: set[bytes] = set()  # a broker may deliver again what it has no acknowledgement of

        def processed() -> bool:
            seen.update(record.payload for record in reader.read(max_records=100))
            reader.release(below=reader.position)
            return seen == set(payloads)

        wait_for(processed, "everything arrives once there is room", within_s=30)


def test_a_broker_that_comes_back_is_found_again(tmp_path: Path) -> None:
    """After the broker was away the receiver connects by itself and has a new connection."""
    port = free_port()
    journal = JournalWriter(tmp_path / "j", max_bytes=2**30)
    with mosquitto(tmp_path, port):
        wait_for(lambda: _answers_or_not(port), "Mosquitto listens")
        context = receiving(journal, port)
        context.__enter__()
        first = journal.head.connection(time.monotonic_ns())
    wait_for(lambda: not connected(journal)(), "the loss is noticed")
    with mosquitto(tmp_path, port):
        wait_for(connected(journal), "the receiver is back", within_s=30)
        assert journal.head.connection(time.monotonic_ns()) > first
        context.__exit__(None, None, None)


def test_a_quiet_connection_that_is_half_open_is_noticed(tmp_path: Path, port: int) -> None:
    """Where the broker's end went without a word, and nothing comes that would tell, a ping does.

    Within two keep-alives the receiver has a new connection, and what the broker held is there.
    """
    journal = JournalWriter(tmp_path / "j", max_bytes=2**30)
    with Proxy(port).running() as way, receiving(journal, way.port):
        first = journal.head.connection(time.monotonic_ns())
        way.half_open()
        with Client().connected(port) as client:
            client.publish(TOPIC, b"while nobody listens")
        wait_for(
            lambda: journal.head.connection(time.monotonic_ns()) > first,
            "the receiver is back",
            within_s=2 * KEEPALIVE_S + 5,
        )
        wait_for(lambda: journal.position == 1, "what the broker held is in the journal")


def test_an_orderly_end_repeats_nothing(tmp_path: Path, port: int) -> None:
    """A receiver that is told to stop under load leaves the broker with all its acknowledgements.

    The next one gets what is left, and nothing that is in the journal already.
    """
    journal = JournalWriter(tmp_path / "j", max_bytes=2**30)
    count = 5000
    with Client().connected(port) as client:
        with receiving(journal, port):
            pass
        for _ in range(3):
            for n in range(count):
                client.publish_soon(TOPIC, b"%d" % n)
            more = journal.position + 1
            with receiving(journal, port):
                wait_for(partial(reaches, journal, more), "it is in the midst")
            client.wait_published()
        with receiving(journal, port):
            wait_for(lambda: journal.position >= 3 * count, "all is there")
        with receiving(journal, port):  # nothing waits at the broker any more
            client.publish(TOPIC, b"last")
            wait_for(lambda: read(tmp_path / "j")[-1].payload == b"last", "the last one")
    assert journal.position == 3 * count + 1


@pytest.mark.parametrize(
    ("lasted_s", "said"),
    [([1, 1, 1], 1), ([1, 1], 0), ([1, 1, 1, 1, 1, 1], 1), ([61, 61, 61], 0),
     ([1, 1, 1, 61, 1, 1], 2)],
)  # fmt: skip
def test_connections_that_do_not_hold_are_said_once(lasted_s: list[float], said: int) -> None:
    """Three ends within a minute make a row; it is said again only after a connection has held."""
    steadiness = Steadiness()
    now_s, found = 1000.0, 0
    for span_s in lasted_s:
        row = steadiness.ended(made_s=now_s, now_s=now_s + span_s, client_id="mine")
        found += "another client with the identifier mine?" in row
        now_s += span_s + 0.5
    assert found == said


def _answers_or_not(port: int) -> bool:
    try:
        return _answers(port)
    except OSError:
        return False
