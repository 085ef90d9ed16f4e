"""What `govsense up --seconds` prints at its end, and whether all went well."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.up_key import Api

COUNTED = ("malformed", "duplicate", "late-batch")  # faults that are accounted for, not alerted
GROWING = (
    "messages_received", "messages_stored", "messages_duplicate", "messages_quarantined",
    "messages_pending", "readings_stored",
)  # fmt: skip
SHOWN_ALERTS = 20
SPANS = {"stored": "event_to_stored_ms", "alert": "event_to_alert_ms"}


@dataclass(frozen=True)
class Before:
    """What was there before this run: the data directory may hold earlier ones."""

    stats: dict[str, Any]
    fired: frozenset[str]


def read_before(api: Api) -> Before:
    """What is there now. Raises httpx.HTTPError where the API is not well."""
    return Before(read_stats(api), frozenset(alert["alert"] for alert in _fired(api)))


def read_stats(api: Api) -> dict[str, Any]:
    """The platform's own summary of itself. Raises httpx.HTTPError where the API is not well."""
    stats: dict[str, Any] = api.get("/stats", timeout_s=5).json()
    return stats


def print_report(api: Api, truth: Path | None, before: Before, *, healthy: bool) -> bool:
    """Print what this run saw; whether readings arrived, a fault was found and all stayed healthy.

    truth: the file of the injected faults, None where none were injected.
    """
    now = read_stats(api)
    stats = now | {name: now[name] - before.stats[name] for name in GROWING}
    fired = [alert for alert in _fired(api) if alert["alert"] not in before.fired]
    faults = _faults(truth)
    found = sum(_was_found(fault, fired) for fault in faults)
    checks = {
        "readings arrived": stats["readings_stored"] > 0,
        "nothing is waiting": now["messages_pending"] == 0,
        "every process stayed up": healthy,
    }
    if truth is not None:
        checks["an injected fault was detected"] = found > 0
    print(
        f"readings stored      {stats['readings_stored']}\n"
        f"messages received    {stats['messages_received']} ="
        f" {stats['messages_stored']} stored + {stats['messages_duplicate']} duplicate"
        f" + {stats['messages_quarantined']} quarantined + {stats['messages_pending']} pending\n"
        f"alerts raised        {len(fired)}; {found} of {len(faults)} injected faults found so far"
    )
    for alert in fired[:SHOWN_ALERTS]:
        print(
            f"  {alert['at'][11:19]}  {alert['severity']:8}  {alert['device']}: {alert['text_en']}"
        )
    if len(fired) > SHOWN_ALERTS:
        print(f"  and {len(fired) - SHOWN_ALERTS} more: GET {api.url}/api/v1/alerts")
    for name, key in SPANS.items():
        span = stats[key]
        print(
            f"publish to {name:6}    p50 {_ms(span['p50'])}, p99 {_ms(span['p99'])}"
            f" of {span['count']}"
        )
    for what, well in checks.items():
        print(f"{'yes' if well else 'NO':4} {what}")
    return all(checks.values())


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} ms"


def _fired(api: Api) -> list[dict[str, Any]]:
    answer = api.get("/alerts", timeout_s=10, limit=1000)
    return [alert for alert in answer.json()["items"] if alert["state"] != "pending"]


def _faults(truth: Path | None) -> list[dict[str, Any]]:
    if truth is None or not truth.exists():
        return []
    lines = truth.read_text(encoding="utf-8").splitlines()
    return [fault for fault in map(json.loads, lines) if fault["type"] not in COUNTED]


def _was_found(fault: dict[str, Any], fired: list[dict[str, Any]]) -> bool:
    """Whether an alert names a device of the fault, and its metric or the device as a whole."""
    return any(
        alert["device"] in fault["devices"] and alert["metric"] in (fault["metric"], "", None)
        for alert in fired
    )
