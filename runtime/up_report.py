"""What `govsense up --seconds` prints at its end, and whether all went well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

COUNTED = ("malformed", "duplicate", "late-batch")  # faults that are accounted for, not alerted
SPANS = {"stored": "event_to_stored_ms", "alert": "event_to_alert_ms"}


def read_stats(url: str) -> dict[str, Any]:
    """The platform's own summary of itself. Raises httpx.HTTPError where the API is not well."""
    answer = httpx.get(f"{url}/api/v1/stats", timeout=5, trust_env=False)
    answer.raise_for_status()
    stats: dict[str, Any] = answer.json()
    return stats


def print_report(url: str, truth: Path | None, *, healthy: bool) -> bool:
    """Print what was seen; whether readings arrived, a fault was found and all stayed healthy.

    truth: the file of the injected faults, None where none were injected.
    """
    stats = read_stats(url)
    fired = _fired(url)
    faults = _faults(truth)
    found = sum(_was_found(fault, fired) for fault in faults)
    checks = {
        "readings arrived": stats["readings_stored"] > 0,
        "nothing is waiting": stats["messages_pending"] == 0,
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
    for alert in fired:
        print(f"  {alert['at'][11:19]}  {alert['severity']:8}  {alert['text_en']}")
    for name, key in SPANS.items():
        span = stats[key]
        print(
            f"publish to {name:6}    p50 {span['p50']} ms, p99 {span['p99']} ms of {span['count']}"
        )
    for what, well in checks.items():
        print(f"{'yes' if well else 'NO':4} {what}")
    return all(checks.values())


def _fired(url: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/api/v1/alerts", params={"limit": 1000}, timeout=10, trust_env=False)
    answer.raise_for_status()
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
