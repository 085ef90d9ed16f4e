"""How often sites fail by themselves, learnt per link type and per kind of alert."""

from __future__ import annotations

from statistics import median
from typing import Any

DAY_MS = 86_400_000
DAYS = 30  # the rate is the median of so many days
FLOOR = 0.1  # failures per site and day: fewer cannot be learnt in a month
PRIOR = 0.2  # taken for each of the first days
PRIOR_DAYS = 3


class Rates:
    """Failures per site and day, by name (a link type, or a family of alerts)."""

    def __init__(self) -> None:
        self._day = -1
        self._today: dict[str, int] = {}
        self._past: dict[str, list[float]] = {}

    def count(self, name: str) -> None:
        """One site failed by itself today."""
        self._today[name] = self._today.get(name, 0) + 1

    def per_day(self, name: str) -> float:
        """Failures per site and day: the median of the last 30 days, at least 0.1."""
        return max(FLOOR, median(self._past.get(name) or [PRIOR]))

    def pass_time(self, now_ms: int, sites: dict[str, int]) -> None:
        """Close the days that are over. sites: how many could have failed, by name."""
        day = now_ms // DAY_MS
        if self._day < 0:
            self._day = day
        while self._day < day:
            for name, n in sites.items():
                past = self._past.setdefault(name, [PRIOR] * PRIOR_DAYS)
                past.append(self._today.get(name, 0) / max(n, 1))
                del past[:-DAYS]
            self._today = {}
            self._day = max(self._day + 1, day - DAYS)

    def to_json(self) -> list[Any]:
        """As plain values."""
        return [self._day, self._today, self._past]

    def hold(self, state: list[Any]) -> None:
        """Go on from what `to_json` gave."""
        self._day, self._today, self._past = state
