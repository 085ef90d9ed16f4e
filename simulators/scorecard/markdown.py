"""Figures as Markdown: tables, and numbers in the unit that reads best."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from simulators.scorecard.tallies import Tally

Cells = Sequence[str]
MONTH_DAYS = 30


def table(title: str, note: str, head: Cells, rows: Iterable[Cells]) -> str:
    """A section with a table under a note; "" where there are no rows."""
    body = [_row(row) for row in rows]
    if not body:
        return ""
    lines = [
        f"## {title}",
        "",
        *([note, ""] if note else []),
        _row(head),
        _row(["---"] * len(head)),
    ]
    return "\n".join(lines + body)


def _row(cells: Cells) -> str:
    return "| " + " | ".join(cells) + " |"


def percent(share: float | None) -> str:
    """A share as a percentage; "-" where there is none."""
    return "-" if share is None else f"{share * 100:.1f} %"


def rate(count: float, per: float) -> str:
    """A count per something, to three significant digits; "-" where there is nothing to be per."""
    return "-" if not per else f"{count / per:.3g}"


def seconds(value: float | None) -> str:
    """A time in the unit that reads best; "-" for None."""
    if value is None:
        return "-"
    for unit, size in (("h", 3600), ("min", 60)):
        if value >= 2 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} s"


def number(value: float | None) -> str:
    """Three significant digits; "-" for None."""
    return "-" if value is None else f"{value:.3g}"


def precision(tally: Tally) -> float | None:
    """Episodes that a fault explains, as a share of all."""
    whole = tally["true"] + tally["false"]
    return tally["true"] / whole if whole else None
