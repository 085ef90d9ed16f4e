"""Local time in Laos and what follows it: working hours, evenings, daylight and seasons."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cache

import numpy as np
from numpy.typing import NDArray

LOCAL_OFFSET_MS = 7 * 3_600_000  # Asia/Vientiane, UTC+7 all year
DAY_MS = 86_400_000
YEAR_DAYS = 365.2425
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0

# (month, day) of public holidays: New Year, Pi Mai, Labour Day, National Day.
HOLIDAYS = frozenset({(1, 1), (4, 13), (4, 14), (4, 15), (4, 16), (5, 1), (12, 2)})

Floats = NDArray[np.float64]
Curve = tuple[tuple[float, float], ...]

# (local hour, level); between two points the level moves in a straight line.
OFFICE: Curve = (
    (0, 0.02), (7, 0.05), (8.4, 0.85), (10.5, 1.0), (12, 0.6), (12.5, 0.3),
    (13.3, 0.85), (15, 0.95), (16.5, 0.5), (18, 0.12), (24, 0.02),
)  # fmt: skip
EVENING: Curve = (
    (0, 0.1), (5, 0.05), (6.5, 0.3), (9, 0.2), (16, 0.25), (18, 0.7), (19.5, 1.0),
    (21, 0.8), (23, 0.3), (24, 0.1),
)  # fmt: skip
WATER: Curve = (
    (0, 0.15), (4.5, 0.2), (6.5, 1.0), (8.5, 0.6), (11.5, 0.75), (14, 0.45), (17.5, 0.9),
    (20, 0.6), (22, 0.25), (24, 0.15),
)  # fmt: skip


def local_hour(at_ms: int) -> float:
    """Hour of the local day, 0 up to 24."""
    return ((at_ms + LOCAL_OFFSET_MS) % DAY_MS) / 3_600_000


def is_working_day(at_ms: int) -> bool:
    """Whether the local day is Monday to Friday and no holiday."""
    return _is_working((at_ms + LOCAL_OFFSET_MS) // DAY_MS)


@cache
def _is_working(day: int) -> bool:
    if (day + EPOCH_WEEKDAY) % 7 >= 5:
        return False
    date = datetime.fromtimestamp(day * 86_400, UTC)
    return (date.month, date.day) not in HOLIDAYS


def level(curve: Curve, at_ms: int) -> float:
    """Where a daily curve stands at a time."""
    hour = local_hour(at_ms)
    before = curve[0]
    for point in curve[1:]:
        if hour <= point[0]:
            share = (hour - before[0]) / (point[0] - before[0])
            return before[1] + share * (point[1] - before[1])
        before = point
    return before[1]


def office_load(at_ms: int) -> float:
    """How busy an office is, 0 to 1; weekends at a twelfth."""
    load = level(OFFICE, at_ms)
    return load if is_working_day(at_ms) else load / 12


def evening_load(at_ms: int) -> float:
    """How much the households of a feeder draw, 0 to 1, highest from 18 to 21 h."""
    return level(EVENING, at_ms)


def water_demand(at_ms: int) -> float:
    """How much water a town draws, 0 to 1, highest in the morning and the late afternoon."""
    return level(WATER, at_ms)


def daylight(at_ms: int) -> float:
    """Height of the sun as a share of its noon height, 0 from 18 to 6 h."""
    return max(0.0, math.sin(math.pi * (local_hour(at_ms) - 6.0) / 12.0))


def season(at_ms: int, peak_day: float) -> float:
    """A yearly wave: 1 on the peak day of the year (0 is 1 January), -1 half a year away."""
    day = (at_ms + LOCAL_OFFSET_MS) / DAY_MS % YEAR_DAYS
    return math.cos(2 * math.pi * (day - peak_day) / YEAR_DAYS)


def burning_season(at_ms: int) -> float:
    """Smoke from field burning, 0 to 1: from February to April, highest in late March."""
    return float(max(0.0, season(at_ms, 84.0)) ** 3)


def rainy_season(at_ms: int) -> float:
    """Rain, 0 to 1: from May to October, highest in August."""
    return max(0.0, season(at_ms, 220.0))


def levels(curve: Curve, at_ms: NDArray[np.int64]) -> Floats:
    """Where a daily curve stands at each of many times."""
    hours = ((at_ms + LOCAL_OFFSET_MS) % DAY_MS) / 3_600_000
    hour, height = zip(*curve, strict=True)
    return np.asarray(np.interp(hours, hour, height), np.float64)


def office_loads(at_ms: NDArray[np.int64]) -> Floats:
    """office_load at each of many times."""
    days, of = np.unique((at_ms + LOCAL_OFFSET_MS) // DAY_MS, return_inverse=True)
    share = np.array([1.0 if _is_working(int(day)) else 1 / 12 for day in days])
    loads: Floats = levels(OFFICE, at_ms) * share[of]
    return loads


def daylights(at_ms: NDArray[np.int64]) -> Floats:
    """daylight at each of many times."""
    hours = ((at_ms + LOCAL_OFFSET_MS) % DAY_MS) / 3_600_000
    height: Floats = np.maximum(0.0, np.sin(math.pi * (hours - 6.0) / 12.0))
    return height
