"""Synthetic series to check the detectors with: each shape is one metric's normal life.

Written for these tests alone, from the physics of each thing; noise is Student's t and
first-order autoregressive, rounded to what a device would report, and is no detector's model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Draw = Callable[[Values, np.random.Generator], Values]
DAY_S = 86_400


class Shape(NamedTuple):
    """One metric of one kind, how its values go over time, and the spread of its noise."""

    name: str
    kind: str
    metric: str
    resolution: float
    sigma: float  # of the noise: in the metric's unit, or of its logarithm where `log`
    log: bool
    draw: Draw  # (local seconds since a Monday 00:00, generator) -> values


def hour(t: Values) -> Values:
    """Local hour of the day, 0 to 24."""
    return np.mod(t, DAY_S) / 3600


def working(t: Values) -> Values:
    """1 in working hours of working days, 0 otherwise, with ten minutes of rise and fall."""
    h, day = hour(t), np.floor(t / DAY_S) % 7
    ramp = 1 / 6
    morning = np.clip(np.minimum((h - 8) / ramp, (12 - h) / ramp), 0, 1)
    afternoon = np.clip(np.minimum((h - 13) / ramp, (16 - h) / ramp), 0, 1)
    return np.where(day < 5, morning + afternoon, 0.0)


def tail(t: Values, rng: np.random.Generator, freedom: float = 5) -> Values:
    """White noise of unit spread with heavy tails."""
    noise: Values = rng.standard_t(freedom, len(t)) / np.sqrt(freedom / (freedom - 2))
    return noise


def wander(t: Values, rng: np.random.Generator, hours: float) -> Values:
    """A slow random walk of unit spread that forgets within so many hours."""
    step_s = t[1] - t[0]
    keep = np.exp(-step_s / (hours * 3600))
    noise = rng.normal(0, np.sqrt(1 - keep**2), len(t))
    noise[0] = rng.normal()
    out = np.empty(len(t))
    level = 0.0
    for n, shock in enumerate(noise.tolist()):
        level = keep * level + shock
        out[n] = level
    return out


def daily(t: Values, peak_h: float) -> Values:
    """A day's swing between -1 and 1, steeper up than down, highest at peak_h."""
    phase = 2 * np.pi * (hour(t) - peak_h) / 24
    return (np.cos(phase) + 0.25 * np.cos(2 * phase + 0.6)) / 1.2


def visits(t: Values, rng: np.random.Generator, per_day: float, minutes: float) -> Values:
    """1 while something short is going on (a door, a lorry), mostly by day, 0 otherwise."""
    step_s = t[1] - t[0]
    by_day = np.where((hour(t) > 7) & (hour(t) < 18), 2.0, 0.1)
    starts = rng.random(len(t)) < per_day * step_s / DAY_S * by_day
    out = np.zeros(len(t))
    for n in np.flatnonzero(starts):
        length = max(1, round(rng.exponential(minutes) * 60 / step_s))
        out[n : n + length] = 1.0
    return out


def room(t: Values, rng: np.random.Generator) -> Values:
    """An office: daily swing, cooled in working hours."""
    outside = 27 + 4.5 * daily(t, 14.5) + 1.5 * wander(t, rng, 30)
    cooled = 3.0 * lag(working(t), t, 1200)
    values: Values = outside * 0.7 + 8 - cooled + 0.12 * tail(t, rng)
    return values


def outdoors(t: Values, rng: np.random.Generator) -> Values:
    """Air in the open: a large swing, fronts of several degrees over days, gusts."""
    return 24 + 6 * daily(t, 14) + 3 * wander(t, rng, 60) + 0.3 * wander(t, rng, 0.3)


def humidity(t: Values, rng: np.random.Generator) -> Values:
    """Opposite to temperature; saturates on many nights."""
    return np.clip(76 - 20 * daily(t, 14) + 9 * wander(t, rng, 30) + 0.8 * tail(t, rng), 16, 100)


def classroom_co2(t: Values, rng: np.random.Generator) -> Values:
    """Rises within half an hour when a class comes in, airs out at night."""
    people = lag(working(t) * (0.7 + 0.3 * rng.random()), t, 2400)
    return 430 + 900 * people + 12 * tail(t, rng) + 15 * wander(t, rng, 4)


def smoke(t: Values, rng: np.random.Generator) -> Values:
    """Burning season: fine dust from 30 to some hundred over days, evening peaks, local fires."""
    season = 4.2 + 0.9 * wander(t, rng, 50) + 0.4 * daily(t, 20)
    fires = 0.7 * lag(visits(t, rng, 1.0, 40), t, 900)
    dust: Values = np.exp(season + fires)
    return 480 * dust / (480 + dust) * np.exp(0.03 * tail(t, rng))


def tank(t: Values, rng: np.random.Generator) -> Values:
    """A tank of 4 m: use by day, a pump that starts at 1.2 m and stops at 3.6 m."""
    step_s = t[1] - t[0]
    use = (0.05 + 0.28 * (np.abs(hour(t) - 7) < 2) + 0.22 * (np.abs(hour(t) - 18) < 2)) / 3600
    out = np.empty(len(t))
    level, pumping = 2.5, False
    for n in range(len(t)):
        pumping = level < 1.2 or (pumping and level < 3.6)
        level += step_s * (1.4 / 3600 * pumping - use[n])
        out[n] = level
    return out + 0.008 * tail(t, rng)


def pressure(t: Values, rng: np.random.Generator) -> Values:
    """Follows demand; the pump adds one bar while it runs."""
    pump = visits(t, rng, 4, 90)
    return 3.0 - 0.5 * daily(t, 7) + 1.0 * pump + 0.05 * tail(t, rng)


def turbidity(t: Values, rng: np.random.Generator) -> Values:
    """Log-normal, with bubbles that spoil single readings."""
    bubbles = np.where(rng.random(len(t)) < 0.004, rng.exponential(1.2, len(t)), 0)
    return np.exp(-0.3 + 0.25 * wander(t, rng, 12) + 0.08 * tail(t, rng)) + bubbles


def acidity(t: Values, rng: np.random.Generator) -> Values:
    """Slow, small swings."""
    return 7.3 + 0.08 * daily(t, 15) + 0.06 * wander(t, rng, 24) + 0.02 * tail(t, rng)


def chlorine(t: Values, rng: np.random.Generator) -> Values:
    """Dosed by flow: lower in the morning peak."""
    return 0.6 + 0.06 * daily(t, 2) + 0.05 * wander(t, rng, 8) + 0.02 * tail(t, rng)


def mains(t: Values, rng: np.random.Generator) -> Values:
    """A rural feeder: sag in the evening, switching of loads, taps of the transformer."""
    sag = 8 * np.exp(-(((hour(t) - 19.5) / 1.6) ** 2))
    loads = 2.5 * visits(t, rng, 12, 15)
    return 232 - sag - loads - 2 * working(t) + 1.5 * wander(t, rng, 2) + 0.8 * tail(t, rng)


def frequency(t: Values, rng: np.random.Generator) -> Values:
    """A weak grid around 50 Hz."""
    return 50 + 0.05 * wander(t, rng, 0.5) + 0.02 * tail(t, rng)


def current(t: Values, rng: np.random.Generator) -> Values:
    """An office's load: little at night, more in working hours, kettles."""
    return np.maximum(
        0.4 + 9 * working(t) + 5 * visits(t, rng, 8, 8) + 0.3 * tail(t, rng) * (1 + working(t)), 0
    )


def battery(t: Values, rng: np.random.Generator) -> Values:
    """A 12 V solar bank: falls at night, charges from eight, floats; cloudy days charge less."""
    sun = np.clip(np.sin(np.pi * (hour(t) - 6) / 12), 0, 1) * (0.8 + 0.2 * wander(t, rng, 24))
    return 12.4 + 1.7 * np.tanh(2 * lag(sun, t, 5400)) + 0.015 * tail(t, rng)


def fridge(t: Values, rng: np.random.Generator) -> Values:
    """A vaccine fridge: compressor cycles, and doors that open for some minutes."""
    cycle = 0.8 * np.sin(2 * np.pi * t / rng.uniform(2000, 3200))
    doors = 5.0 * lag(visits(t, rng, 6, 4), t, 240)
    return 4.6 + cycle + doors + 0.3 * daily(t, 15) + 0.1 * tail(t, rng)


def round_trip(base_ms: float, load: float, spikes: float) -> Draw:
    """A median round trip: congestion in working hours, heavy tails, short spikes."""

    def draw(t: Values, rng: np.random.Generator) -> Values:
        busy = load * working(t) * (0.6 + 0.4 * np.abs(wander(t, rng, 3)))
        spiky = np.where(rng.random(len(t)) < spikes, rng.pareto(1.5, len(t)), 0)
        return base_ms * (1 + spiky) * np.exp(busy + 0.05 * np.abs(tail(t, rng, 3)))

    return draw


def loss(chance: float) -> Draw:
    """Share of ten packets lost; twice as many in working hours."""

    def draw(t: Values, rng: np.random.Generator) -> Values:
        lost = rng.binomial(10, chance * (1 + working(t)))
        return lost.astype(np.float64) * 10

    return draw


def lag(signal: Values, t: Values, seconds: float) -> Values:
    """The signal as a slow thing follows it."""
    keep = np.exp(-(t[1] - t[0]) / seconds)
    out = np.empty(len(t))
    level = signal[0]
    for n, now in enumerate(signal.tolist()):
        level = keep * level + (1 - keep) * now
        out[n] = level
    return out


PROBE = "connectivity-probe"
SHAPES = (
    Shape("office temperature", "environment", "temperature_c", 0.01, 0.12, False, room),
    Shape("humidity", "environment", "humidity_pct", 0.1, 0.8, False, humidity),
    Shape("classroom CO2", "environment", "co2_ppm", 1, 12, False, classroom_co2),
    Shape("outdoor temperature", "air-quality", "temperature_c", 0.1, 0.15, False, outdoors),
    Shape("burning-season PM2.5", "air-quality", "pm2_5_ugm3", 0.1, 0.03, True, smoke),
    Shape("tank level", "water-level", "level_m", 0.001, 0.008, False, tank),
    Shape("water pressure", "water-level", "pressure_bar", 0.01, 0.05, False, pressure),
    Shape("turbidity", "water-quality", "turbidity_ntu", 0.01, 0.08, True, turbidity),
    Shape("pH", "water-quality", "ph", 0.01, 0.02, False, acidity),
    Shape("chlorine", "water-quality", "chlorine_mgl", 0.01, 0.02, False, chlorine),
    Shape("rural mains voltage", "power", "mains_v", 0.1, 0.8, False, mains),
    Shape("frequency", "power", "frequency_hz", 0.01, 0.02, False, frequency),
    Shape("office current", "power", "current_a", 0.01, 0.3, False, current),
    Shape("solar battery", "solar", "battery_v", 0.01, 0.02, False, battery),
    Shape("vaccine fridge", "cold-chain", "temperature_c", 0.1, 0.1, False, fridge),
    Shape("fibre round trip", PROBE, "nat_rtt_p50_ms", 0.01, 0.05, True, round_trip(12, 0.7, 5e-3)),
    Shape("4G round trip", PROBE, "int_rtt_p50_ms", 0.01, 0.05, True, round_trip(70, 0.5, 2e-2)),
    Shape("VSAT round trip", PROBE, "isp_rtt_p50_ms", 0.01, 0.05, True, round_trip(610, 0.2, 5e-3)),
    Shape("DNS over VSAT", PROBE, "dns_ms", 0.1, 0.05, True, round_trip(660, 0.2, 2e-2)),
    Shape("fibre loss", PROBE, "nat_loss_pct", 0.1, 0, False, loss(0.002)),
    Shape("poor radio loss", PROBE, "int_loss_pct", 0.1, 0, False, loss(0.02)),
)
