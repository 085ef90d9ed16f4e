"""/stats: the platform's summary of itself, for programs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from api.counts import OUTCOMES, Counts, read_counts
from api.documentation import documented
from api.platform import PlatformNow
from api.times import EXAMPLE, TimeOut, iso
from storage.ledger.inventory import open_platform_alerts, province_counts

router = APIRouter(tags=["operation"])

SPANS = ("event_to_stored_ms", "event_to_alert_ms")


class Span(BaseModel):
    """How long something takes, in ms; quantiles are null while nothing was measured."""

    p50: float | None
    p99: float | None
    count: int


class Stats(BaseModel):
    """messages_received = stored + duplicate + quarantined + pending."""

    now: TimeOut
    messages_received: int
    messages_stored: int
    messages_duplicate: int
    messages_quarantined: int
    messages_pending: int
    readings_stored: int
    readings_duplicate: int
    readings_late: int
    event_to_stored_ms: Span
    event_to_alert_ms: Span
    alerts_open: int
    devices: int
    devices_heard: int


STATS_EXAMPLE = {
    "now": EXAMPLE,
    "messages_received": 1000,
    "messages_stored": 990,
    "messages_duplicate": 6,
    "messages_quarantined": 3,
    "messages_pending": 1,
    "readings_stored": 5940,
    "readings_duplicate": 36,
    "readings_late": 12,
    "event_to_stored_ms": {"p50": 25.1, "p99": 63.1, "count": 5940},
    "event_to_alert_ms": {"p50": 31.6, "p99": 79.4, "count": 4},
    "alerts_open": 3,
    "devices": 400,
    "devices_heard": 396,
}


@router.get("/stats", response_model=Stats, responses=documented(STATS_EXAMPLE))
def stats(platform: PlatformNow) -> dict[str, Any]:
    """Totals since the first start, latencies since ingest's last, and what is open now.

    `devices_heard` counts devices that were ever heard.
    """
    counts = read_counts(platform.ledger)
    provinces = province_counts(platform.ledger, now_ms=platform.now_ms()).values()
    devices = sum(sum(province.devices.values()) for province in provinces)
    never_heard = sum(province.devices["registered"] for province in provinces)
    return {
        "now": iso(platform.now_ms()),
        "messages_received": counts.received,
        "messages_pending": counts.pending,
        **{f"messages_{name}": counts.totals.get(f"messages_{name}", 0) for name in OUTCOMES},
        **{
            f"readings_{name}": counts.totals.get(f"readings_{name}", 0)
            for name in ("stored", "duplicate", "late")
        },
        **{name: _span(counts, name) for name in SPANS},
        "alerts_open": sum(province.open_alerts for province in provinces)
        + open_platform_alerts(platform.ledger),
        "devices": devices,
        "devices_heard": devices - never_heard,
    }


def _span(counts: Counts, name: str) -> dict[str, Any]:
    summary = counts.gauge("ingest", name) or {"p50": None, "p99": None, "count": 0}
    return {key: summary[key] for key in ("p50", "p99", "count")}
