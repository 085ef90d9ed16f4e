"""Evidence: what was measured around the onset of an alert."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.platform import Platform
from api.times import TimeOut, iso
from detection.outages import BIN_MS, BinState
from storage.ledger.alerts import AlertRow
from storage.ledger.bins import bins_of
from storage.ledger.inventory import get_device
from storage.ledger.series import series_of

INTERVALS = 60  # of the device, before the onset and after it
LEAST_MS, MOST_MS = 5 * 60_000, 6 * 3_600_000
MOST_READINGS = 500


class ReadingOut(BaseModel):
    """One value of the metric."""

    at: TimeOut
    value: float


class BinOut(BaseModel):
    """Five minutes of the site."""

    at: TimeOut
    state: BinState


class EvidenceOut(BaseModel):
    """What was known of the time around the onset, [start, end), the oldest first.

    readings: of the metric, none where the alert is on the device itself; complete: all that there
    are, or the first 500. bins: of the site, where they are published already.
    """

    start: TimeOut
    end: TimeOut
    readings: list[ReadingOut]
    complete: bool
    bins: list[BinOut]


EXAMPLE = {
    "start": "2026-10-05T00:29:58.200Z",
    "end": "2026-10-05T01:40:00.000Z",
    "readings": [
        {"at": "2026-10-05T01:28:58.200Z", "value": 7.6},
        {"at": "2026-10-05T01:29:58.200Z", "value": 9.4},
    ],
    "complete": True,
    "bins": [{"at": "2026-10-05T01:25:00.000Z", "state": "UP"}],
}


def evidence_of(platform: Platform, alert: AlertRow) -> dict[str, Any]:
    """At most 500 readings and 146 bins around the onset of an alert."""
    device = get_device(platform.ledger, alert.device, now_ms=platform.now_ms())
    interval_ms = 60_000 if device is None else device.interval_s * 1000
    span_ms = int(min(max(INTERVALS * interval_ms, LEAST_MS), MOST_MS))
    start_ms = alert.event_ms - span_ms
    end_ms = max(start_ms, min(alert.event_ms + span_ms, platform.now_ms()))
    numbers = {name: n for n, _, name in series_of(platform.ledger, [alert.device])}
    number = numbers.get(alert.metric)
    rows = []
    if number is not None:
        rows = platform.series.rows([number], start_ms, end_ms, limit=MOST_READINGS + 1)
    bins = bins_of(platform.ledger, alert.site, start_ms - BIN_MS + 1, end_ms)
    return {
        "start": iso(start_ms),
        "end": iso(end_ms),
        "readings": [{"at": iso(r.at_ms), "value": r.value} for r in rows[:MOST_READINGS]],
        "complete": len(rows) <= MOST_READINGS,
        "bins": [{"at": iso(one.start_ms), "state": one.state} for one in bins],
    }
