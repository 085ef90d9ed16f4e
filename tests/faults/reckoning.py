"""What is in the stores after a storm, held against what was published and taken over."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import httpx

from ingest.journal.head import Head
from storage.influx.spool import Spool
from storage.ledger import totals
from storage.ledger.migrations import open_ledger
from tests.faults.deployments import DEVICES, Deployment
from tests.faults.load import METRICS, Followed, Load, value_of
from tests.project.broker import wait_for

PROCESSED_WITHIN_S = 90.0
RAW = "SELECT device, metric, at_ms, value FROM raw JOIN ledger.series ON number = raw.series"


class Stored(NamedTuple):
    """One reading in the store of telemetry."""

    device: str
    metric: str
    at_ms: int
    value: float


@dataclass(frozen=True)
class Reckoning:
    """published: rounds that the broker acknowledged. taken: of them, on the platform's disk.
    repeated: messages that came onto it more than once. readings: stored ones. lost: readings of
    rounds that were taken over, but are not stored. extra: rows that nobody has published, or with
    another value. miscounted: what the counters of stored readings and messages are off.
    """

    published: int
    taken: int
    repeated: int
    readings: int
    lost: int
    extra: int
    miscounted: int

    @property
    def is_exact(self) -> bool:
        """Whether all that was taken over is stored exactly once."""
        return not (self.lost or self.extra or self.miscounted)


class Counted(NamedTuple):
    """The counters that a load moves."""

    messages: int
    readings: int


def counted(deployment: Deployment) -> Counted:
    """The counters now."""
    ledger = open_ledger(deployment.ledger_url)
    try:
        counts = totals.read(ledger).counts
    finally:
        ledger.close()
    return Counted(counts.get("messages_stored", 0), counts.get("readings_stored", 0))


def reckon(deployment: Deployment, load: Load, followed: Followed, before: Counted) -> Reckoning:
    """Wait until all that was taken over is stored, and count. before: counters before the load."""
    wait_processed(deployment)
    now = counted(deployment)
    found, extra = _found(deployment, load)
    taken = set(followed.times)
    readings = {(n, metric) for n in taken for metric in METRICS}
    assert followed.damaged == 0, "the test could not follow the journal"
    return Reckoning(
        published=load.acknowledged,
        taken=len(taken),
        repeated=followed.messages - len(taken),
        readings=len(found),
        lost=len(readings - found),
        extra=extra + len(found - readings),
        miscounted=abs(now.readings - before.readings - len(readings))
        + abs(now.messages - before.messages - len(taken)),
    )


def wait_processed(deployment: Deployment) -> None:
    """Wait until everything in the journal is committed, and drained to InfluxDB."""
    head = Head(deployment.journal, create=False)
    ledger = open_ledger(deployment.ledger_url)
    try:
        wait_for(
            lambda: totals.read(ledger).position == head.position,
            f"the journal is processed: {deployment.log('processor')[-2000:]}",
            PROCESSED_WITHIN_S,
        )
    finally:
        head.close()
        ledger.close()
    if deployment.influxd:
        spool = Spool(deployment.directory / "spool.db", read_only=True)
        try:
            wait_for(
                lambda: spool.counts().lines == 0,
                f"the spool is drained: {deployment.log('drainer')[-2000:]}",
                PROCESSED_WITHIN_S,
            )
            assert spool.counts().refused == spool.counts().damaged == 0
        finally:
            spool.close()


def _found(deployment: Deployment, load: Load) -> tuple[set[tuple[int, str]], int]:
    """(round, metric) of what is stored of a load, and how many rows are not as published."""
    found: set[tuple[int, str]] = set()
    extra = 0
    for row in _rows(deployment, load.base_ms):
        number = row.at_ms - load.base_ms
        is_ours = number < load.sent and row.device == f"p{number % DEVICES}"
        is_right = is_ours and row.value == value_of(number, row.metric)
        if is_right and (number, row.metric) not in found:
            found.add((number, row.metric))
        else:
            extra += 1
    return found, extra


def _rows(deployment: Deployment, from_ms: int) -> Iterator[Stored]:
    """What the store itself holds, asked without any code of govsense."""
    if deployment.influxd is None:
        series = sqlite3.connect(deployment.directory / "series.db")
        series.execute("ATTACH ? AS ledger", (str(deployment.directory / "ledger.db"),))
        for row in series.execute(f"{RAW} WHERE at_ms >= ?", (from_ms,)):
            yield Stored(*row)
        series.close()
        return
    fields = ", ".join(METRICS)
    query = f'SELECT {fields} FROM "connectivity-probe" WHERE time >= {from_ms}ms GROUP BY device'
    answer = httpx.get(
        f"{deployment.influxd.url}/query",
        params={"db": "govsense", "epoch": "ms", "q": query},
        timeout=60,
        trust_env=False,
    ).json()
    for part in answer["results"][0]["series"]:
        for at_ms, *values in part["values"]:
            for metric, value in zip(METRICS, values, strict=True):
                if value is not None:
                    yield Stored(part["tags"]["device"], metric, at_ms, value)
