"""Counts and delays of an evaluation, in rows of named tables, that can be summed over worlds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """What one row of one table has counted, and the values it has collected."""

    counts: Counter[str] = field(default_factory=Counter)
    values: dict[str, list[float]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> int:
        return self.counts[name]

    def add(self, **counts: int) -> None:
        """Add to counts; True is 1."""
        self.counts.update({name: int(count) for name, count in counts.items()})

    def observe(self, name: str, value: float) -> None:
        """Collect a value."""
        self.values.setdefault(name, []).append(value)

    def share(self, part: str, whole: str) -> float | None:
        """A count as a share of another; None where there is nothing to share."""
        return self.counts[part] / self.counts[whole] if self.counts[whole] else None

    def quantile(self, name: str, share: float) -> float | None:
        """The nearest-rank quantile of collected values; None where there are none."""
        return quantile(self.values.get(name, ()), share)


class Score:
    """Tables of rows of tallies. device_days, months and sites are what rates are taken over."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Tally]] = {}
        self.device_days = 0.0
        self.site_days = 0.0
        self.days = 0.0
        self.worlds = 0

    def row(self, table: str, row: str) -> Tally:
        """The tally of a row, new where it is the first time."""
        return self.tables.setdefault(table, {}).setdefault(row, Tally())

    def of(self, table: str, row: str) -> Tally:
        """The tally of a row, an empty one where it is not there."""
        return self.tables.get(table, {}).get(row) or Tally()

    def rows(self, table: str) -> Iterator[tuple[str, Tally]]:
        """The rows of a table by name."""
        yield from sorted(self.tables.get(table, {}).items())

    def merge(self, other: Score) -> None:
        """Add what another world has counted."""
        self.device_days += other.device_days
        self.site_days += other.site_days
        self.days += other.days
        self.worlds += other.worlds
        for table, rows in other.tables.items():
            for name, tally in rows.items():
                mine = self.row(table, name)
                mine.counts.update(tally.counts)
                for key, values in tally.values.items():
                    mine.values.setdefault(key, []).extend(values)

    def as_json(self) -> dict[str, Any]:
        """For `from_json`, in another process."""
        return {
            "worlds": self.worlds,
            "days": self.days,
            "device_days": self.device_days,
            "site_days": self.site_days,
            "tables": {
                table: {name: {"counts": t.counts, "values": t.values} for name, t in rows.items()}
                for table, rows in self.tables.items()
            },
        }

    @staticmethod
    def from_json(tree: dict[str, Any]) -> Score:
        """The score that `as_json` wrote."""
        score = Score()
        score.worlds, score.days = tree["worlds"], tree["days"]
        score.device_days, score.site_days = tree["device_days"], tree["site_days"]
        for table, rows in tree["tables"].items():
            for name, held in rows.items():
                tally = score.row(table, name)
                tally.counts.update(held["counts"])
                tally.values.update(held["values"])
        return score


def quantile(values: Sequence[float], share: float) -> float | None:
    """The nearest-rank quantile: the least value with at least this share at or below it."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
