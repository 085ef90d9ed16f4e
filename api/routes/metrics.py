"""/metrics: the platform's counters for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from api.counts import Counts, read_counts
from api.documentation import documented
from api.platform import Platform, PlatformNow
from detection.findings import PLATFORM
from storage.ledger.inventory import LIFECYCLES, open_platform_alerts, province_counts

router = APIRouter(tags=["operation"])

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METRICS_EXAMPLE = "# TYPE govsense_messages_received_total counter\n..."
GAUGES = {  # of a process's heartbeat: (name, meaning)
    "series": ("govsense_series", "series that have reported"),
    "broker_connected": ("govsense_broker_connected", "1 while the receiver is connected"),
    "resident_bytes": ("govsense_resident_bytes", "memory of the process"),
}
SPANS = {
    "receive_to_ack_ms": ("govsense_receive_to_ack_seconds", "from the broker to on disk"),
    "event_to_stored_ms": ("govsense_event_to_stored_seconds", "from event time to committed"),
    "event_to_alert_ms": ("govsense_event_to_alert_seconds", "from event time to alert"),
}


@router.get(
    "/metrics",
    response_class=Response,
    responses=documented(METRICS_EXAMPLE, media_type="text/plain"),
)
def metrics(platform: PlatformNow) -> Response:
    """Counters since the first start, exact; gauges as of each process's last heartbeat."""
    registry = CollectorRegistry()
    registry.register(_Scrape(platform))
    return Response(generate_latest(registry), media_type=MEDIA_TYPE)


class _Scrape(Collector):
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def collect(self) -> Iterator[Metric]:
        platform = self._platform
        counts = read_counts(platform.ledger)
        yield from _messages(counts)
        yield from _readings(counts)
        yield from _processes(counts, platform.now_ms())
        yield from _country(platform)


def _messages(counts: Counts) -> Iterator[Metric]:
    """received_total = stored_total + duplicate_total + quarantined_total + pending."""
    total = counts.totals.get
    yield _counter("govsense_messages_received", "messages put on disk", counts.received)
    stored = total("messages_stored", 0)
    yield _counter("govsense_messages_stored", "messages that brought something new", stored)
    duplicate = total("messages_duplicate", 0)
    yield _counter("govsense_messages_duplicate", "messages that were stored before", duplicate)
    yield GaugeMetricFamily(  # falls when messages are replayed, so it is no counter
        "govsense_messages_quarantined_total",
        "messages of which nothing could be used",
        total("messages_quarantined", 0),
    )
    pending = "messages on disk that are not processed yet"
    yield GaugeMetricFamily("govsense_messages_pending", pending, counts.pending)


def _readings(counts: Counts) -> Iterator[Metric]:
    for name, meaning in {
        "stored": "readings stored for the first time",
        "duplicate": "readings that replaced the same one",
        "late": "readings stored that came after their device's lateness bound",
    }.items():
        value = counts.totals.get(f"readings_{name}", 0)
        yield _counter(f"govsense_readings_{name}", meaning, value)
    refused = GaugeMetricFamily(
        "govsense_refused", "refusals by reason; falls on replay", labels=["reason"]
    )
    for name, value in sorted(counts.totals.items()):
        if name.startswith("refused_"):
            refused.add_metric([name.removeprefix("refused_")], value)
    yield refused


def _processes(counts: Counts, now_ms: int) -> Iterator[Metric]:
    age = GaugeMetricFamily(
        "govsense_heartbeat_age_seconds", "platform time since a heartbeat", labels=["process"]
    )
    for process, beat in counts.beats.items():
        age.add_metric([process], max(0, now_ms - beat.at_ms) / 1000)
    yield age
    for key, (name, meaning) in GAUGES.items():
        gauge = GaugeMetricFamily(name, meaning, labels=["process"])
        for process, beat in counts.beats.items():
            if key in beat.data:
                gauge.add_metric([process], float(beat.data[key]))
        yield gauge
    for key, (name, meaning) in SPANS.items():
        summary = counts.gauge("ingest", key)
        if summary:
            yield _histogram(name, meaning, summary)


def _country(platform: Platform) -> Iterator[Metric]:
    by_lifecycle: Counter[str] = Counter()
    alerts = GaugeMetricFamily(
        "govsense_alerts_open", "alerts firing or acknowledged", labels=["province"]
    )
    for province, counts in province_counts(platform.ledger, now_ms=platform.now_ms()).items():
        by_lifecycle.update(counts.devices)
        alerts.add_metric([province], counts.open_alerts)
    alerts.add_metric([PLATFORM], open_platform_alerts(platform.ledger))
    devices = GaugeMetricFamily("govsense_devices", "devices", labels=["lifecycle"])
    for lifecycle in LIFECYCLES:
        devices.add_metric([lifecycle], by_lifecycle[lifecycle])
    yield devices
    yield alerts


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(name, meaning, value)


def _histogram(name: str, meaning: str, summary: dict[str, Any]) -> Metric:
    bounds: Sequence[float] = [*summary["bounds"], float("inf")]
    buckets = [
        ("+Inf" if bound == float("inf") else repr(bound / 1000), float(count))
        for bound, count in zip(bounds, accumulate(summary["buckets"]), strict=True)
    ]
    return HistogramMetricFamily(name, meaning, buckets, summary["sum"] / 1000)
