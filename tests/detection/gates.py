"""Recall, precision, delay and false alarms of the statistical channels, by fault and by noise.

    python -m tests.detection.gates --seed 301        about a minute

Each series of `families` lives two weeks at five minutes; one in two has one fault after day 4.
A rule that names another fault than the one there is still found it: an operator looks. Sigma is
that of the series' own noise. Settings were chosen on seeds 1 to 20; the report is of 301 to 303.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from devices.kinds import KINDS
from tests.detection.families import DAY_S, HOUR_S, NOISES, PROBE, RHYTHMS, Rhythm, Values, draw
from tests.detection.measure import fired_on

START_MS = 1_790_528_400_000  # a Monday, 00:00 in Vientiane
FAULTS = ("spike", "noise", "shift", "drift", "doubled")
LASTS_S = {
    "spike": 0,
    "noise": 2 * HOUR_S,
    "shift": 6 * HOUR_S,
    "drift": 2 * DAY_S,
    "doubled": 0.5 * HOUR_S,
}
WITHIN_S = {
    "spike": 300,
    "noise": HOUR_S / 2,
    "shift": HOUR_S,
    "drift": 1.5 * DAY_S,
    "doubled": HOUR_S,
}


SPIKY = (
    "pm2_5_ugm3",
    "pm10_ugm3",
    "flow_m3h",
    "pressure_bar",
    "turbidity_ntu",
    "mains_v",
    "current_a",
    "load_w",
)


class Life(NamedTuple):
    """One series, its noise, and the fault in it: what, first reading of it and first after it."""

    rhythm: Rhythm
    noise: str
    values: Values
    fault: str | None
    start: int
    end: int


class Alarm(NamedTuple):
    """An alert that fired: on which reading, by which rule and channel."""

    k: int
    rule: str
    channel: str


def lives(
    fault: str | None, t: Values, copies: int, rng: np.random.Generator, noises: Sequence[str]
) -> list[Life]:
    """Series of every rhythm and noise, each with this fault, or all healthy."""
    made = []
    for rhythm in RHYTHMS:
        is_time = rhythm.kind == PROBE and "rtt_p50" in rhythm.metric
        if fault == "doubled" and not is_time:
            continue
        for noise in noises:
            values, rough = draw(rhythm, noise, t, copies, rng)
            for row, own in zip(values, rough, strict=True):
                made.append(_harmed(rhythm, noise, row, own, fault, t, rng))
    return made


def _harmed(
    rhythm: Rhythm,
    noise: str,
    y: Values,
    rough: Values,
    fault: str | None,
    t: Values,
    rng: np.random.Generator,
) -> Life:
    step_s = t[1] - t[0]
    at = int(rng.uniform(0.35, 0.8) * len(y))
    while np.isnan(y[at : at + 3]).any():
        at += 1
    end = at + 1
    if fault:
        end = min(at + max(1, round(LASTS_S[fault] / step_s)), len(y))
    sign = rng.choice([-1, 1])
    sigma = rough.std() if noise != "regimes" else rhythm.sigma
    part = slice(at, end)
    if fault == "spike":
        y[part] += sign * 8 * sigma
    elif fault == "noise":
        y[part] += 3 * rough[part] if noise != "coarse" else rng.normal(0, 4 * sigma, end - at)
    elif fault == "shift":
        y[part] += sign * 4 * sigma
    elif fault == "drift":
        y[part] += sign * 6 * sigma * np.arange(end - at) / (2 * DAY_S / step_s)
    elif fault == "doubled":
        y[part] += np.log(2)
    return Life(rhythm, noise, np.exp(y) if rhythm.log else y, fault, at, end)


def play(all_lives: Sequence[Life], step_s: int, start_s: float = 0) -> list[list[Alarm]]:
    """Alarms of each series, each series a device of its own."""
    metrics = [KINDS[life.rhythm.kind].metrics[life.rhythm.metric] for life in all_lives]
    columns = [
        np.round(life.values / metric.resolution) * metric.resolution
        for life, metric in zip(all_lives, metrics, strict=True)
    ]
    fired = fired_on(metrics, columns, step_s, START_MS + round(start_s * 1000))
    return [
        [Alarm(k, finding.rule, str(finding.facts.get("channel", ""))) for k, finding in own]
        for own in fired
    ]


def healthy(days: int, step_s: int, copies: int, seed: int, noises: Sequence[str]) -> None:
    """Print false alarms per series and day, by metric, and per device and day by kind."""
    rng = np.random.default_rng(seed)
    start_s = float(rng.integers(7) * DAY_S)
    t = start_s + np.arange(0, days * DAY_S, step_s, dtype=np.float64)
    made = lives(None, t, copies, rng, noises)
    alarms = play(made, step_s, start_s)
    by_kind: dict[str, float] = defaultdict(float)
    by_noise: Counter[str] = Counter()
    print(f"\nhealthy: {len(made)} series, {days} days, every {step_s} s")
    for rhythm in RHYTHMS:
        own = [
            (life, a)
            for life, ls in zip(made, alarms, strict=True)
            if life.rhythm is rhythm
            for a in ls
        ]
        share = len(own) / days / copies / len(noises)
        by_kind[rhythm.kind] += share
        by_noise.update(f"{life.noise}/{a.rule}/{a.channel}" for life, a in own)
        if own:
            causes = Counter(f"{a.rule}/{a.channel}" for _, a in own)
            when = sorted(round(a.k * step_s / DAY_S, 1) for _, a in own)
            print(f"| {rhythm.kind} {rhythm.metric} | {share:.4f} | {dict(causes)} | {when[:12]}")
    print({kind: round(share, 4) for kind, share in by_kind.items()})
    print(by_noise.most_common(30))


def recall(
    fault: str,
    days: int,
    step_s: int,
    copies: int,
    seed: int,
    noises: Sequence[str],
    brief: bool = True,
) -> None:
    """Print recall within the gate's time and until an hour after the end, and delays."""
    rng = np.random.default_rng((seed, FAULTS.index(fault)))
    start_s = float(rng.integers(7) * DAY_S)
    t = start_s + np.arange(0, days * DAY_S, step_s, dtype=np.float64)
    made = lives(fault, t, copies, rng, noises)
    alarms = play(made, step_s, start_s)
    hits: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    delays, false = [], 0
    by: Counter[str] = Counter()
    for life, own in zip(made, alarms, strict=True):
        window = range(life.start, life.end + HOUR_S // step_s + 1)
        first = next((a for a in own if a.k in window), None)
        false += sum(a.k not in window for a in own)
        soon = first is not None and (first.k - life.start) * step_s <= WITHIN_S[fault]
        if first is not None:
            delays.append(first.k - life.start)
            by[f"{first.rule}/{first.channel}"] += 1
        weak = (
            life.rhythm.kind == PROBE
            or KINDS[life.rhythm.kind].metrics[life.rhythm.metric].name in SPIKY
        )
        for key in (
            life.noise,
            "spiky" if weak else "calm",
            "all",
            f"{life.rhythm.kind} {life.rhythm.metric}",
        ):
            hits[key].append((soon, first is not None))
    precision = len(delays) / max(1, len(delays) + false)
    p = np.percentile(delays, [50, 95]) if delays else [0, 0]
    print(
        f"\n{fault}: {len(made)} series, found/soon; delay {p[0]:.0f}, {p[1]:.0f};"
        f" precision {precision:.0%}; {dict(by)}"
    )
    for key, found in hits.items():
        if brief and " " in key:
            continue
        soon_share, share = np.mean(found, axis=0)
        print(f"  {key:40} {share:5.0%} {soon_share:5.0%}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=301)
    parser.add_argument("--only", choices=["healthy", *FAULTS])
    parser.add_argument("--copies", type=int, default=2)
    parser.add_argument("--step", type=int, default=300)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--noise", nargs="*", default=NOISES)
    parser.add_argument("--long", action="store_true")
    a = parser.parse_args()
    if a.only in (None, "healthy"):
        healthy(a.days, a.step, a.copies, a.seed, a.noise)
    for fault in FAULTS:
        if a.only in (None, fault):
            recall(fault, a.days, a.step, a.copies, a.seed, a.noise, not a.long)


if __name__ == "__main__":
    main()
