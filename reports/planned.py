"""Planned times that do not count, from a file that is written before they begin."""

from __future__ import annotations

import csv
from datetime import datetime
from pathlib import Path

from reports.grids import Exclusion


class PlannedError(ValueError):
    """The file of planned times cannot be used; the text says where and why."""


def read_planned(file: Path) -> tuple[Exclusion, ...]:
    """Rows of site (empty: every site), from, to (ISO 8601 with an offset), reason.

    Raises PlannedError.
    """
    try:
        rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as exc:
        raise PlannedError(f"the planned times {file} cannot be read: {exc}") from exc
    found = []
    for line, row in enumerate(rows, 2):
        try:
            start_ms, end_ms = _ms(row["from"]), _ms(row["to"])
            if end_ms <= start_ms or not row["reason"]:
                raise ValueError("it ends before it begins, or has no reason")
            found.append(Exclusion(row["site"], start_ms, end_ms, row["reason"]))
        except (KeyError, TypeError, ValueError) as exc:
            raise PlannedError(
                f"{file}, line {line}: a planned time is `site,from,to,reason` with times like"
                f" 2026-10-05T08:30:00+07:00, got {row}: {exc}"
            ) from exc
    return tuple(sorted(found))


def _ms(text: str) -> int:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return round(at.timestamp() * 1000)
