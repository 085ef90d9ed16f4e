"""What a printed or tabular report says of itself, so that it can be made again and compared."""

from __future__ import annotations

from typing import Any

from reports.canonical import canonical

NAMES = ("scope", "period", "calendar", "data_until", "status", "revision", "as_of", "digest")


def statement_of(report: dict[str, Any]) -> str:
    """One line of JSON: what it is about, how it stands, and its digest."""
    said = {name: report[name] for name in NAMES}
    return canonical({**said, "calendar": report["calendar"]["name"], "kind": report["kind"]})
