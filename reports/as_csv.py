"""A report as a table: a line of what it says of itself, then a row for each group and site."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from reports.spreadsheets import BOM, safe_text
from reports.statement import form_of, statement_of

MARK = "govsense-report"
LEVELS = ("provinces", "districts", "agencies", "providers", "sites")
MINUTES = ("up", "degraded", "down", "unknown", "excluded", "on_backup", "not_started")
FIGURES = (
    *("availability", "lower", "upper", "coverage", "sufficient", "quality_ok", "excluded_share"),
    *("outages", "outages_open", "mttr_minutes", "mtbf_minutes", "saifi", "saidi_minutes"),
)
SPEED = (
    *("tests", "judged", "met", "enough", "share"),
    *("down_p50_mbps", "up_p50_mbps", "rtt_p50_ms", "loss_pct"),
)
COLUMNS = (
    *("level", "id", "name_en", "name_lo", "sites"),
    *(f"{name}_minutes" for name in MINUTES),
    *FIGURES,
    *(f"speed_{name}" for name in SPEED),
    "excluded_by_reason",
)


def as_csv(report: dict[str, Any], *, bom: bool) -> str:
    """UTF-8 text with CRLF, as RFC 4180; bom: with the mark by which Excel knows it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow((MARK, statement_of(report, csv_form())))
    writer.writerow(COLUMNS)
    writer.writerow(["total", "", "", "", *_cells(report["total"])])
    for level in LEVELS:
        for row in report[level]:
            names = (level, row["id"], row["name_en"], row["name_lo"])
            writer.writerow([*map(safe_text, names), *_cells(row)])
    return (BOM if bom else "") + out.getvalue()


def csv_form() -> str:
    """What a table says of its form: another version may write it in another way."""
    return form_of("as_csv.py", "spreadsheets.py")


def _cells(row: dict[str, Any]) -> Iterator[str]:
    yield str(row["sites"])
    yield from (_cell(row["minutes"][name]) for name in MINUTES)
    yield from (_cell(row[name]) for name in FIGURES)
    yield from (_cell(row["speed"][name]) for name in SPEED)
    reasons = sorted(row["excluded_by_reason"].items())
    yield safe_text("; ".join(f"{reason}: {minutes}" for reason, minutes in reasons))


def _cell(value: float | bool | None) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6f}" if isinstance(value, float) else str(value)
