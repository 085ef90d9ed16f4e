"""The promises that the fault suite proves, and the figures that it measures for them.

A test of the suite is marked `guarantee`, takes its sizes from `size`, asserts what must hold
whatever the machine does (nothing lost, nothing twice), and records what it measured:

    pytestmark = pytest.mark.guarantee

    def test_kills_lose_nothing(...):
        kills = size(quick=5, long=100)
        ...
        assert lost == 0
        record("kills", f"{lost} of {count:,} over {kills} kills, seed {seed}", met=lost == 0)

Where several tests (or deployments) prove one promise, each says which it is by `of`: a row each.
Times and memory depend on the machine: they are recorded, with `met` saying whether the target was
reached, and never asserted. `./test` runs the quick sizes and records nothing;
`./test --guarantees` runs the long ones and writes docs/guarantees.md.
"""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

Size = TypeVar("Size", int, float)
FIGURES = "GOVSENSE_GUARANTEES"  # names the file of the figures; set for the long run only
SEED = "GOVSENSE_FAULT_SEED"  # replays a failed run


class Promise(NamedTuple):
    """What is promised, and the figure to reach."""

    text: str
    target: str


PROMISES = {
    "kills": Promise(
        "Readings whose message ingest acknowledged, lost over 100 kills at random instants under"
        " 1,000 messages/s",
        "0 of at least 100,000",
    ),
    "shuffled": Promise("Extra rows or alerts from triple, shuffled delivery", "0"),
    "broker-outbox": Promise("Broker killed: rounds lost with an outbox and receipts", "0"),
    "broker-plain": Promise(
        "Broker killed: missing ranges reported without an outbox", "all, none false"
    ),
    "influx-lost": Promise("InfluxDB down 30 minutes: readings lost", "0"),
    "influx-memory": Promise("InfluxDB down 30 minutes: growth of resident memory", "50 MB"),
    "influx-puback": Promise("InfluxDB down 30 minutes: p99 acknowledgement time", "50 ms"),
    "influx-catch-up": Promise(
        "InfluxDB back: catch-up speed; live latency p99 meanwhile", "5 times the live rate; 2 s"
    ),
    "bad-point": Promise(
        "One bad point in 5,000, for each kind of refusal",
        "exactly 1 quarantined, at most 26 extra requests",
    ),
    "fuzz": Promise(
        "Fuzzed payloads that stop or slow intake",
        "0 of 50,000; every one in quarantine with a reason, every good reading stored",
    ),
    "journal": Promise(
        "Journal opened after a torn tail or any single flipped bit",
        "always, of 10,000; at most the damaged record lost, and counted",
    ),
    "disk-full": Promise(
        "Disk full and freed under the journal",
        "no crash, nothing acknowledged lost, intake back within 10 s without a restart",
    ),
    "conservation": Promise(
        "Conservation law: received = stored + duplicate + quarantined + pending",
        "exact at every scrape",
    ),
    "clocks": Promise("Future or 1970 timestamps stored as live", "0"),
    "backlog": Promise(
        "24 hours of backlog from 500 devices while live data flows: rounds lost; alerts paged",
        "0; 0",
    ),
    "storm": Promise("Reconnect storm of 2,000 clients: rounds lost", "0"),
}


class Figure(msgspec.Struct):
    """What one test measured for one promise."""

    promise: str
    of: str
    figure: str
    met: bool
    test: str


def size(*, quick: Size, long: Size) -> Size:
    """`long` in a run that publishes guarantees, else `quick`."""
    return long if os.environ.get(FIGURES) else quick


def seed() -> int:
    """The seed of this run: GOVSENSE_FAULT_SEED, or one by chance. Printed, so that a failed run
    can be replayed (pytest shows what a failed test printed)."""
    chosen = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    print(f"{SEED}={chosen}")
    return chosen


def record(promise: str, figure: str, *, met: bool, of: str = "") -> None:
    """Keep a figure for docs/guarantees.md. Raises KeyError for a promise that is not listed.

    of: which variant was measured, where there are several ("embedded", "servers").
    """
    text = f"{PROMISES[promise].text}: {figure}"
    print(text if met else f"MISSED {text}")
    if path := os.environ.get(FIGURES):
        test = os.environ["PYTEST_CURRENT_TEST"].partition(" ")[0]
        line = msgspec.json.encode(Figure(promise, of, figure, met, test)) + b"\n"
        with Path(path).open("ab") as file:
            file.write(line)


def read_figures(path: Path) -> list[Figure]:
    """The figures of a run, in the order in which they were measured.

    What a test measured again, in a run that went on with these figures, replaces what it had.
    """
    lines = path.read_bytes().splitlines()
    figures = [msgspec.json.decode(line, type=Figure) for line in lines]
    return list({(one.promise, one.of, one.test): one for one in figures}.values())
