"""What a replay found, in the files that other programs read."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from detection.alerts import AlertChange
from detection.incidents.changes import IncidentChange
from detection.outages import Bin

BIN_COLUMNS = ("site", "bin_start", "state", "on_backup", "revision")
PUBLISHED = ("firing", "resolved")


def write_alerts(
    file: Path, changes: Iterable[AlertChange], incident_of: Mapping[str, str]
) -> None:
    """A JSON line for each alert that fired, and for each that was resolved.

    incident_of: the incident that each alert became a part of, which may be after it fired.
    """
    published = (one for one in changes if one.state in PUBLISHED)
    _write_lines(file, (_alert(one, incident_of.get(one.alert)) for one in published))


def write_incidents(file: Path, changes: Iterable[IncidentChange]) -> None:
    """A JSON line for each change of an incident."""
    _write_lines(file, (_incident(one) for one in changes))


def write_bins(file: Path, bins: Mapping[tuple[str, int], Bin]) -> None:
    """A row for each bin of each site, in order of site and time."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(BIN_COLUMNS)
        for _, one in sorted(bins.items()):
            on_backup = "true" if one.on_backup else "false"
            writer.writerow((one.site, one.start_ms, one.state, on_backup, one.revision))


def _write_lines(file: Path, objects: Iterable[dict[str, Any]]) -> None:
    encoder = msgspec.json.Encoder()
    with file.open("wb") as out:
        out.writelines(encoder.encode(one) + b"\n" for one in objects)


def _alert(change: AlertChange, incident: str | None) -> dict[str, Any]:
    return {
        "at": change.at_ms,
        "alert": change.alert,
        "state": change.state,
        "device": change.device,
        "site": change.site,
        "metric": change.metric or None,
        "rule": change.rule,
        "nature": change.nature,
        "severity": change.severity,
        "event_time": change.event_ms,
        "value": change.value,
        "expected": change.expected,
        "text_en": change.text_en,
        "text_lo": change.text_lo,
        "incident": incident,
        **({"backfilled": True} if change.backfilled else {}),
    }


def _incident(change: IncidentChange) -> dict[str, Any]:
    return {
        "at": change.at_ms,
        "incident": change.incident,
        "state": change.state,
        "scope": {"type": change.scope.type, "id": change.scope.id},
        "cause": change.cause,
        "phase": change.phase,
        "confidence": change.confidence,
        "started_at": change.started_ms,
        "ended_at": change.ended_ms,
        "sites": change.sites,
        "devices": change.devices,
        "evidence": change.evidence,
        "evidence_lo": change.evidence_lo,
    }
