"""Fuzzed payloads among good ones: none stops intake, none vanishes, no good one suffers."""

from __future__ import annotations

import gc
import random
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bench.mqtt_load import publish
from devices.catalogue import Catalogue
from devices.registry import Device, Registry
from devices.wire.reasons import REASONS
from ingest.intake import Intake
from ingest.journal import Entry, JournalReader, JournalWriter, Record
from ingest.processor import Limits, Processor
from ingest.recovery import recover
from storage.ledger import quarantine, totals
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.registry import add_registry
from storage.series.sqlite import SqliteSeries
from tests.faults.fuzz import Fuzz, Fuzzed
from tests.faults.guarantees import record, seed, size
from tests.path.platform import Platform, one_office, reading, running
from tests.project.broker import wait_for
from tests.storage import postgresql

pytestmark = pytest.mark.guarantee
GOOD = 20  # devices p0, p1, ... whose messages are good
BAD = 50  # devices f0, f1, ...
NOW_MS = 1_790_000_000_000
GROUP = 500
SUBSCRIBED = re.compile(r"gov/v1/[^/]*/[^/]*/(telemetry|backfill|status)")
SLOW_S = 0.1  # one message holds up the others by less
LIVE_RATE = 1000.0  # messages a second that a country sends
LEAST_MS, AHEAD_MS = 1_577_836_800_000, 300_000  # the year 2020; five minutes


def registry() -> Registry:
    """An office with good devices and bad ones."""
    office = one_office(GOOD)
    bad = {
        f"f{n}": Device(f"f{n}", "office", "connectivity-probe", 60.0, 1, {}) for n in range(BAD)
    }
    return Registry(office.sites, office.devices | bad)


def good(n: int, base_ms: int = NOW_MS) -> Fuzzed:
    """Good message n: a round of its own time with a value of its own."""
    payload = reading(base_ms + n, n, dns_ms=float(n % 997))
    return Fuzzed(f"gov/v1/LA-LP/p{n % GOOD}/telemetry", payload)


class Ingest:
    """Journal, processor and stores, with no broker before them."""

    def __init__(self, directory: Path, ledger_url: str) -> None:
        self.journal = JournalWriter(directory / "journal", max_bytes=2**31)
        self.ledger = open_ledger(ledger_url)
        add_registry(self.ledger, registry())
        self.series = SqliteSeries.open(directory / "series.db")
        self.records: list[Record] = []
        self.processor: Processor = recover(
            reader=JournalReader(directory / "journal", 0),
            ledger=self.ledger,
            series=self.series,
            now_ms=lambda: NOW_MS + self.journal.position,
            limits=Limits(4000, 5.0),
        )

    def rate(self, messages: Sequence[Fuzzed]) -> float:
        """Take messages in, and say how many a second of this process's time."""
        for first in range(0, len(messages), GROUP):
            group = messages[first : first + GROUP]
            entries = [Entry(NOW_MS + first + n, *one) for n, one in enumerate(group)]
            self.records += [Record(first + n, *one[:3]) for n, one in enumerate(entries)]
            self.journal.append(entries)
        began = time.process_time()
        while self.processor.pending:
            self.processor.step()
            self.processor.downlinks()
        return len(messages) / (time.process_time() - began)

    def close(self) -> None:
        """Close every file."""
        self.processor.reader.close()
        self.journal.close()
        self.series.close()
        self.ledger.close()


@contextmanager
def ledgers(kind: str, directory: Path) -> Iterator[Iterator[str]]:
    """URLs of ledgers that hold nothing yet."""
    if kind == "SQLite":
        yield (f"sqlite:///{directory / name / 'ledger.db'}" for name in ("plain", "mixed"))
        return
    with ExitStack() as stack:
        server = stack.enter_context(postgresql.server())
        yield (stack.enter_context(postgresql.database(server, n)) for n in ("plain", "mixed"))


@pytest.mark.parametrize(
    "kind", ["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.postgresql)]
)
def test_fuzz_neither_stops_nor_slows_what_is_behind_the_broker(tmp_path: Path, kind: str) -> None:
    """Every message is accounted for, every refusal is kept, every good reading is stored."""
    count = size(quick=1000, long=50_000) if kind == "SQLite" else size(quick=500, long=5000)
    fuzz = Fuzz(random.Random(seed()), BAD)
    plain = [good(n) for n in range(2 * count)]
    mixed = [good(n) if n % 2 else fuzz.make(NOW_MS + n) for n in range(2 * count)]
    rates = []
    with ledgers(kind, tmp_path) as urls:
        for name, messages in (("plain", plain), ("mixed", mixed)):
            (tmp_path / name).mkdir()
            ingest = Ingest(tmp_path / name, next(urls))
            try:
                rates.append(ingest.rate(messages))
                slowest_s = every_refusal_is_kept(ingest)
                every_good_reading_is_stored(ingest)
                nothing_impossible_is_stored(ingest)
            finally:
                ingest.close()
    record(
        "fuzz",
        f"0 of {count:,} stop it, the slowest takes {slowest_s * 1000:.0f} ms;"
        f" {rates[1]:,.0f} messages/s of processor time with every other one fuzzed (1 in 200 of"
        f" 256 KiB), {rates[0]:,.0f} with good ones only",
        met=slowest_s < SLOW_S and rates[1] > LIVE_RATE,
        of=f"journal to stores, {kind}",
    )


def every_refusal_is_kept(ingest: Ingest) -> float:
    """Quarantine holds each message of which anything is refused, whole, with its reasons.

    Returns the processor time, seconds, that the slowest message took to judge.
    """
    counts = totals.read(ingest.ledger).counts
    outcomes = [counts.get(f"messages_{one}", 0) for one in ("stored", "duplicate", "quarantined")]
    assert sum(outcomes) == len(ingest.records) == ingest.processor.received
    intake = Intake(registry(), Catalogue())
    wanted: Counter[tuple[str, bytes, tuple[str, ...]]] = Counter()
    slowest_s = 0.0
    gc.collect()
    gc.freeze()  # to look through all that the test holds is not the cost of a message
    for one in ingest.records:
        began = time.thread_time()
        refusals = intake.take([one]).refusals.get(0)
        slowest_s = max(slowest_s, time.thread_time() - began)
        if refusals is not None:
            wanted[one.topic, one.payload, tuple(refusal.reason for refusal in refusals)] += 1
    gc.unfreeze()
    kept = _quarantined(ingest.ledger)
    held = Counter(
        (row.topic, row.payload, tuple(refusal["reason"] for refusal in row.refusals))
        for row in kept
    )
    assert held == wanted
    assert sum(row.whole for row in kept) == outcomes[2]
    assert all(row.refusals and row.reason in REASONS for row in kept)
    return slowest_s


def every_good_reading_is_stored(ingest: Ingest) -> None:
    """Each with its own value, and as received."""
    wanted = {
        (one.topic.split("/")[3], NOW_MS + one.position): float(one.position % 997)
        for one in ingest.records
        if one == Record(one.position, one.received_ms, *good(one.position))
    }
    assert len(wanted) >= len(ingest.records) // 2
    catalogue = ingest.processor.catalogue
    numbers = [n for n in range(len(catalogue)) if catalogue[n].device.device.startswith("p")]
    rows = ingest.series.rows(numbers, 0, 2 * NOW_MS, limit=10**7)
    assert {(catalogue[row.series].device.device, row.at_ms): row.value for row in rows} == wanted


def nothing_impossible_is_stored(ingest: Ingest) -> None:
    """No value beyond its metric's hard range, no time before 2020 or after it was received."""
    catalogue = ingest.processor.catalogue
    numbers = range(len(catalogue))
    for row in ingest.series.rows(numbers, -(2**62), 2**62, limit=10**7):
        metric = catalogue[row.series].metric
        assert metric.hard_min <= row.value <= metric.hard_max
        assert LEAST_MS <= row.at_ms <= row.received_ms + AHEAD_MS


def _quarantined(ledger: Ledger) -> list[quarantine.QuarantineRow]:
    return quarantine.list_quarantine(ledger, quarantine.QuarantineFilter(), limit=10**7)


@pytest.mark.mosquitto
def test_fuzz_through_the_broker_leaves_nothing_behind(tmp_path: Path) -> None:
    """By real Mosquitto and real processes: all is accounted for, and good readings are stored."""
    count = size(quick=300, long=5000)
    fuzz = Fuzz(random.Random(seed()), BAD)
    base_ms = time.time_ns() // 1_000_000 - 60_000
    messages = [good(n, base_ms) if n % 2 else fuzz.make(base_ms + n) for n in range(2 * count)]
    messages = [one for one in messages if one.topic.isprintable()]  # Mosquitto takes no others
    wanted_count = sum(SUBSCRIBED.fullmatch(one.topic) is not None for one in messages)
    wanted = {f"p{n}": 0 for n in range(GOOD)}
    for n in range(1, 2 * count, 2):
        wanted[f"p{n % GOOD}"] += 1
    with running(tmp_path, registry()) as platform:
        assert publish("127.0.0.1", platform.port, iter(messages)) == len(messages)
        wait_for(lambda: _is_settled(platform, wanted_count), platform.log("ingest"), 60)
        stats = platform.get("/stats")
        parts = [stats[f"messages_{one}"] for one in ("stored", "duplicate", "quarantined")]
        assert sum(parts) == stats["messages_received"] == wanted_count
        for device, readings in wanted.items():
            if readings:
                assert len(_telemetry(platform, device)) == readings
        kept = platform.items("/quarantine", limit=200)
        assert all(row["refusals"] for row in kept)
        assert "Traceback" not in platform.log("ingest")
    record(
        "fuzz",
        f"0 of {count:,} stop it; received {wanted_count:,} = stored {parts[0]:,} + duplicate"
        f" {parts[1]:,} + quarantined {parts[2]:,}",
        met=True,
        of="Mosquitto to API, embedded",
    )


def _is_settled(platform: Platform, count: int) -> bool:
    stats = platform.get("/stats")
    return stats["messages_received"] >= count and not stats["messages_pending"]


def _telemetry(platform: Platform, device: str) -> list[dict[str, object]]:
    times = {"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"}
    return platform.items(f"/devices/{device}/telemetry", metric="dns_ms", **times)
