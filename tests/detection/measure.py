"""False alarms and recall of the shipped tables on the shapes, as printed in docs/detection.md.

    python -m tests.detection.measure            about two minutes

Each series lives three weeks at five minutes. False alarms: no fault at all, also two weeks at one
minute. Recall: one fault a series, somewhere between day 6 and day 17; found is a fault that some
rule fires on until an hour after its end. Beside the detectors stand two references on the same
series: "beyond" fires on each value outside everything seen after the first 50 readings, "random"
as often as the detectors do on healthy series, but anywhere. Tables were set on
seeds 1 to 9 and 101 to 103; the figures are of 201 to 203.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from detection.engine import Engine
from detection.findings import Finding
from detection.rules_shift import read_shift
from devices.catalogue import Catalogue
from devices.kinds import KINDS, Metric
from devices.readings import Readings
from devices.registry import Device
from tests.detection.shapes import DAY_S, SHAPES, Shape, Values

START_MS = 1_790_553_600_000  # a Monday
FAULTS = ("spike", "three spikes", "step", "small step", "stuck", "out of limits", "drift")
LIMITS = {"dns_ms": 2000.0, "nat_loss_pct": 15.0, "int_loss_pct": 15.0}  # own, not the plausible

WORSE = read_shift().side  # by row of METRICS: the way that is a fault, 0 where both are


class Life(NamedTuple):
    """One series and the fault in it: first reading of it and the first after it, or None."""

    shape: Shape
    values: Values
    fault: tuple[int, int] | None


def live(shape: Shape, *, days: int, step_s: int, rng: np.random.Generator) -> Life:
    """A series without a fault that starts at any time of the week."""
    begin = float(rng.uniform(0, 7 * DAY_S))
    t = begin + np.arange(0, days * DAY_S, step_s, dtype=np.float64)
    return Life(shape, shape.draw(t, rng), None)


def harm(life: Life, fault: str, *, step_s: int, rng: np.random.Generator) -> Life | None:
    """The series with one fault, None where the fault makes no sense for it.

    A link that becomes faster is no fault: of its times only a rise is one, of its speeds a fall.
    """
    shape = life.shape
    y = np.log(np.maximum(life.values, 1e-6)) if shape.log else life.values.copy()
    at = int(rng.uniform(0.3, 0.8) * len(y))
    low, high, hour = y[:at].min(), y[:at].max(), 3600 // step_s
    sign = rng.choice([-1, 1])
    sign = WORSE[KINDS[shape.kind].metrics[shape.metric].row] or sign
    limit = LIMITS.get(shape.metric, KINDS[shape.kind].metrics[shape.metric].plausible_max)
    end = at + {"spike": 1, "three spikes": 3, "out of limits": 2 * hour, "drift": 51 * hour}.get(
        fault, 6 * hour
    )
    end = min(end, len(y))
    if fault in ("spike", "three spikes"):
        extreme = high if sign > 0 else low
        y[at:end] = extreme + sign * max(8 * shape.sigma, 0.5 * (high - low))
    elif fault == "step":
        y[at:end] += sign * max(8 * shape.sigma, high - low)
    elif fault == "small step":
        y[at:end] += sign * 8 * shape.sigma
    elif fault == "stuck":
        y[at:end] = y[at]
    elif limit is None:
        return None
    else:
        goal = np.log(1.1 * limit) if shape.log else 1.1 * limit
        rise = np.ones(end - at) if fault == "out of limits" else np.arange(end - at) / 48 / hour
        y[at:end] += np.minimum(rise, 1) * (goal - np.median(y[:at]))
        if fault == "out of limits":
            y[at:end] = np.maximum(y[at:end], goal)
    if shape.sigma == 0 and fault != "out of limits":
        return None
    return Life(shape, np.exp(y) if shape.log else y, (at, end))


def play(lives: Sequence[Life], step_s: int) -> list[list[tuple[int, Finding]]]:
    """Firing findings of each series, with the number of the reading that they fired on."""
    columns = []
    for life in lives:
        seen = np.round(life.values / life.shape.resolution) * life.shape.resolution
        if life.fault and np.ptp(life.values[slice(*life.fault)]) == 0:
            seen[slice(*life.fault)] = seen[life.fault[0]]
        columns.append(seen)
    metrics = [KINDS[life.shape.kind].metrics[life.shape.metric] for life in lives]
    return fired_on(metrics, columns, step_s)


def fired_on(
    metrics: Sequence[Metric], columns: Sequence[Values], step_s: int, start_ms: int = START_MS
) -> list[list[tuple[int, Finding]]]:
    """Firing findings on series, each of a device of its own; NaN is a reading that is missing."""
    catalogue = Catalogue()
    for n, metric in enumerate(metrics):
        params = {"height_m": 4.0} if metric.name == "level_m" else {}
        catalogue.add(Device(f"{n}", "s", metric.kind, step_s, 1, params), metric)
    possible = catalogue.hard_min[: len(metrics)], catalogue.hard_max[: len(metrics)]
    engine = Engine(catalogue)
    fired: list[list[tuple[int, Finding]]] = [[] for _ in metrics]
    for k, values in enumerate(np.array(columns).T):
        series = np.flatnonzero(~np.isnan(values)).astype(np.int32)
        at_ms = np.full(len(series), start_ms + k * step_s * 1000)
        value = np.clip(values, *possible)[series]
        for finding in engine.score(Readings(series, at_ms, at_ms, value)):
            if finding.phase == "firing":
                fired[int(finding.device)].append((k, finding))
    return fired


def found(life: Life, fired: Sequence[tuple[int, Finding]], step_s: int) -> int | None:
    """Readings from the fault's start to the first alarm on it; None where there is none."""
    assert life.fault is not None
    start, end = life.fault
    return next((k - start for k, _ in fired if start <= k <= end + 3600 // step_s), None)


def beyond(life: Life) -> list[int]:
    """The reference: readings outside everything seen before, after the first 50."""
    values = life.values
    high, low = np.maximum.accumulate(values)[:-1], np.minimum.accumulate(values)[:-1]
    out = np.flatnonzero((values[1:] > high) | (values[1:] < low)) + 1
    return [int(k) for k in out if k >= 50]


def false_alarms(*, days: int, step_s: int, copies: int, seed: int) -> None:
    """Print false alarms per series and day for each shape that has any, and in all."""
    rng = np.random.default_rng(seed)
    lives = [live(s, days=days, step_s=step_s, rng=rng) for s in SHAPES for _ in range(copies)]
    fired = play(lives, step_s)
    print(f"\n{len(lives)} healthy series, {days} days, every {step_s} s: false alarms a day each")
    for shape in SHAPES:
        own = [f for life, fs in zip(lives, fired, strict=True) if life.shape is shape for f in fs]
        rules = Counter(f.rule for _, f in own)
        if own:
            print(f"| {shape.name} | {len(own) / days / copies:.4f} | {dict(rules)} |")
    total, span = sum(map(len, fired)), days * len(lives)
    reference = sum(len(beyond(life)) for life in lives)
    print(f"| all | {total / span:.5f} | beyond everything seen: {reference / span:.2f} |")


def recall(*, copies: int, seed: int, rate: float) -> None:
    """Print recall and delay for each fault, with the two references."""
    days, step_s = 21, 300
    print("\n| fault | series | found | delay, readings: median, p95 | beyond | random |")
    for number, fault in enumerate(FAULTS):
        rng = np.random.default_rng((seed, number))
        made = [
            harm(live(s, days=days, step_s=step_s, rng=rng), fault, step_s=step_s, rng=rng)
            for s in SHAPES
            for _ in range(copies)
        ]
        lives = [life for life in made if life is not None]
        hits = [
            found(life, fired, step_s)
            for life, fired in zip(lives, play(lives, step_s), strict=True)
        ]
        delays = sorted(hit for hit in hits if hit is not None)
        simple = [_touches(life, beyond(life)) for life in lives]
        chance = np.mean([_span_days(life, step_s) for life in lives]) * rate
        share = f"{len(delays) / len(lives):.0%}"
        late = f"{np.median(delays):.0f}, {np.percentile(delays, 95):.0f}"
        print(
            f"| {fault} | {len(lives)} | {share} | {late}"
            f" | {np.mean(simple):.0%} | {min(chance, 1):.0%} |"
        )
        missed = Counter(
            life.shape.name for life, hit in zip(lives, hits, strict=True) if hit is None
        )
        print("  missed:", ", ".join(f"{name} {n}/{copies}" for name, n in missed.items()))


def _touches(life: Life, alarms: Sequence[int]) -> bool:
    assert life.fault is not None
    return any(life.fault[0] <= k < life.fault[1] for k in alarms)


def _span_days(life: Life, step_s: int) -> float:
    assert life.fault is not None
    return ((life.fault[1] - life.fault[0]) * step_s + 3600) / DAY_S


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=201)
    seed = parser.parse_args().seed
    false_alarms(days=21, step_s=300, copies=10, seed=seed)
    false_alarms(days=14, step_s=60, copies=3, seed=seed + 1)
    recall(copies=5, seed=seed + 2, rate=0.02)


if __name__ == "__main__":
    main()
