"""Two detectors that anybody could write, to compare with: records of raw values, and chance."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

from simulators.scorecard.alarms import EPISODE_MS, Alarm
from simulators.scorecard.arrivals import Arrival
from simulators.scorecard.files import Place

BURN_IN = 50  # readings of a series before its range is known
SAMPLE = 97  # of how many readings one is a moment
NUMBERS = (float, int, bool)
REFERENCES = {"seen": "outside everything seen", "random": "random"}


class Reading(NamedTuple):
    """A live reading of a capture."""

    at_ms: int
    device: str
    metric: str
    value: float


def records(
    arrived: Iterable[Arrival], devices: dict[str, Place]
) -> tuple[list[Alarm], list[Reading]]:
    """Alarms of "outside everything seen", and a sample of moments for `chance`.

    A series that leaves the range it has had gives an alarm, at most one an hour. Live channel
    only: a reference detector need not be better than its data.
    """
    known: dict[str, dict[str, list[float]]] = {name: {} for name in devices}
    found: list[Alarm] = []
    moments: list[Reading] = []
    number = 0
    for at_ms, device, channel, rounds in arrived:
        if channel != "telemetry":
            continue
        ranges = known[device]  # of each metric: low, high, count, last alarm
        for one in rounds:
            for metric, value in one.m.items():
                if type(value) not in NUMBERS:
                    continue
                number += 1
                if number % SAMPLE == 1:
                    moments.append(Reading(at_ms, device, metric, value))
                held = ranges.get(metric)
                if held is None:
                    ranges[metric] = [value, value, 1, 0]
                    continue
                held[2] += 1
                if held[0] <= value <= held[1]:
                    continue
                held[0], held[1] = min(held[0], value), max(held[1], value)
                if held[2] > BURN_IN and at_ms > held[3] + EPISODE_MS:
                    held[3] = at_ms
                    reading = Reading(at_ms, device, metric, value)
                    found.append(_alarm(f"seen-{len(found)}", reading, devices))
    return found, moments


def chance(moments: list[Reading], count: int, devices: dict[str, Place], seed: int) -> list[Alarm]:
    """`count` alarms at random moments; fewer where there are not so many."""
    drawn = random.Random(seed).sample(moments, min(count, len(moments)))
    return [_alarm(f"random-{n}", reading, devices) for n, reading in enumerate(drawn)]


def _alarm(name: str, reading: Reading, devices: dict[str, Place]) -> Alarm:
    place = devices[reading.device]
    return Alarm(
        alarm=name,
        source=reading.device,
        devices=(reading.device,),
        sites=(place.site,),
        metric=reading.metric,
        rule="reference",
        nature="condition",
        severity="warning",
        began_ms=reading.at_ms,
        at_ms=reading.at_ms,
        ended_ms=reading.at_ms + place.interval_ms,
    )
