"""How much a caller may ask for: by role from the settings, and how often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from api.callers import ROLES, Role

MOST_BUCKETS = 10_000  # callers or addresses that are remembered at a time


class Limits(NamedTuple):
    """Of one role. stored_rows: range times resolution, what one answer is made from."""

    requests_per_minute: int = 6000
    page_items: int = 10_000
    stored_rows: int = 200_000


def limits_by_role(**texts: str) -> dict[Role, Limits]:
    """Limits from settings such as `viewer=600, operator=600, admin=6000, auditor=600`.

    texts: by field of Limits. Raises ValueError that says what is wrong with which.
    """
    values = {name: _by_role(name, text) for name, text in texts.items()}
    return {role: Limits(**{name: of[role] for name, of in values.items()}) for role in ROLES}


def _by_role(name: str, text: str) -> Mapping[Role, int]:
    found: dict[str, int] = {}
    for part in text.split(","):
        role, _, number = (word.strip() for word in part.partition("="))
        if not (number.isascii() and number.isdigit() and int(number) > 0):
            raise ValueError(f"limits.{name}: {part.strip()!r} is not like viewer=600")
        found[role] = int(number)
    if found.keys() != set(ROLES):
        raise ValueError(f"limits.{name} is {text!r}; it must name each of {', '.join(ROLES)}")
    return {role: found[role] for role in ROLES}


class Buckets:
    """Token buckets: each holds what a minute allows, and fills evenly. For one event loop."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # left, as of

    def take(self, whose: str, per_minute: int, now_s: float) -> float:
        """Take one; 0, or the seconds until there is one again. now_s: of a steady clock."""
        left, at_s = self._buckets.pop(whose, (float(per_minute), now_s))
        left = min(float(per_minute), left + (now_s - at_s) * per_minute / 60)
        wait_s = 0.0 if left >= 1 else (1 - left) * 60 / per_minute
        self._buckets[whose] = (left if wait_s else left - 1, now_s)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return wait_s
