"""Two detectors that anybody could write, to compare with: records of raw values, and chance."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from simulators.scorecard.alarms import EPISODE_MS, Alarm
from simulators.scorecard.files import EvaluationError, Place

BURN_IN = 50  # readings of a series before its range is known
REFERENCES = {"seen": "outside everything seen", "random": "random"}


class Reading(NamedTuple):
    """A live reading of a capture."""

    at_ms: int
    device: str
    metric: str
    value: float


class _Message(msgspec.Struct):
    at: int
    topic: str
    payload: str = ""


class _Round(msgspec.Struct):
    m: dict[str, Any] = {}
    r: list[_Round] = []


def live_readings(capture: Path, devices: dict[str, Place]) -> Iterator[Reading]:
    """The readings of native JSON on the telemetry channel, in order of arrival.

    What is not native JSON is left out: a reference detector need not be better than its data.
    Raises EvaluationError for a line that is not a capture's.
    """
    messages = msgspec.json.Decoder(_Message)
    rounds = msgspec.json.Decoder(_Round)
    with capture.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                message = messages.decode(line)
            except msgspec.DecodeError as exc:
                raise EvaluationError(f"{capture}:{number}: {exc}: {line[:120]!r}") from exc
            device, _, channel = message.topic.rpartition("/")
            device = device.rpartition("/")[2]
            if channel != "telemetry" or device not in devices:
                continue
            try:
                payload = rounds.decode(message.payload)
            except msgspec.DecodeError:
                continue
            for one in payload.r or [payload]:
                for metric, value in one.m.items():
                    if isinstance(value, int | float):
                        yield Reading(message.at, device, metric, value)


def records(
    readings: Iterable[Reading], devices: dict[str, Place]
) -> tuple[list[Alarm], list[Reading]]:
    """Alarms of "outside everything seen", and a sample of moments for `chance`.

    A series that leaves the range it has had gives an alarm, at most one an hour.
    """
    ranges: dict[tuple[str, str], list[float]] = {}  # low, high, count, last alarm
    found: list[Alarm] = []
    moments: list[Reading] = []
    for number, reading in enumerate(readings):
        if number % 97 == 0:
            moments.append(reading)
        held = ranges.get((reading.device, reading.metric))
        if held is None:
            ranges[reading.device, reading.metric] = [reading.value, reading.value, 1, 0]
            continue
        held[2] += 1
        if held[0] <= reading.value <= held[1]:
            continue
        held[0], held[1] = min(held[0], reading.value), max(held[1], reading.value)
        if held[2] > BURN_IN and reading.at_ms > held[3] + EPISODE_MS:
            held[3] = reading.at_ms
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
