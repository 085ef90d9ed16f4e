"""Families of synthetic series: each metric's level and rhythm under several kinds of noise.

Beside `shapes`, which follow the physics of each thing, these are what people write who know no
more than a mean, a daily swing and a spread: the same rhythm with white, autoregressive,
heavy-tailed or coarsely rounded noise, with missing readings, cycles of a machine, and a level
that changes for good now and then. Sigma is the standard deviation of the noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
HOUR_S, DAY_S = 3600, 86_400
NOISES = ("white", "ar", "slow", "tails", "coarse", "missing", "cycles", "regimes")


class Rhythm(NamedTuple):
    """One metric: its level, daily swing, rise in working hours, and spread of the noise.

    log: all but the level are of its logarithm.
    """

    kind: str
    metric: str
    level: float
    swing: float
    work: float
    sigma: float
    log: bool = False


PROBE = "connectivity-probe"
RHYTHMS = (
    *(
        Rhythm(PROBE, f"{tier}_rtt_p50_ms", level, 0.02, 0.15, 0.08, log=True)
        for tier, level in (("gw", 1.2), ("isp", 9), ("nat", 16), ("int", 70))
    ),
    *(
        Rhythm(PROBE, f"{tier}_rtt_min_ms", level, 0.0, 0.02, 0.03, log=True)
        for tier, level in (("gw", 1.0), ("isp", 7), ("nat", 13), ("int", 62))
    ),
    Rhythm(PROBE, "dns_ms", 25, 0.05, 0.15, 0.15, log=True),
    Rhythm(PROBE, "http_total_ms", 180, 0.05, 0.15, 0.12, log=True),
    Rhythm(PROBE, "cpu_temp_c", 52, 3, 0, 0.8),
    Rhythm("environment", "temperature_c", 26, 3, -1, 0.3),
    Rhythm("environment", "humidity_pct", 62, -10, -3, 1.5),
    Rhythm("environment", "co2_ppm", 450, 10, 500, 20),
    Rhythm("air-quality", "pm2_5_ugm3", 30, 0.2, 0, 0.12, log=True),
    Rhythm("air-quality", "pm10_ugm3", 45, 0.2, 0, 0.12, log=True),
    Rhythm("air-quality", "temperature_c", 27, 5, 0, 0.4),
    Rhythm("air-quality", "humidity_pct", 70, -14, 0, 2),
    Rhythm("water-level", "level_m", 2.2, 0.5, 0, 0.02),
    Rhythm("water-level", "flow_m3h", 14, 4, 2, 0.6),
    Rhythm("water-level", "pressure_bar", 3.2, -0.3, 0, 0.08),
    Rhythm("water-quality", "turbidity_ntu", 0.8, 0, 0, 0.1, log=True),
    Rhythm("water-quality", "ph", 7.2, 0.05, 0, 0.03),
    Rhythm("water-quality", "chlorine_mgl", 0.5, -0.04, 0, 0.03),
    Rhythm("water-quality", "conductivity_uscm", 320, 0, 0, 0.015, log=True),
    Rhythm("water-quality", "temperature_c", 26, 1, 0, 0.1),
    Rhythm("power", "mains_v", 229, 3, -2, 1.5),
    Rhythm("power", "frequency_hz", 50, 0, 0, 0.03),
    Rhythm("power", "current_a", 6, 1, 9, 0.5),
    Rhythm("solar", "battery_v", 12.9, 0.6, 0, 0.03),
    Rhythm("solar", "load_w", 60, 10, 40, 4),
    Rhythm("cold-chain", "temperature_c", 5, 0.3, 0, 0.25),
    Rhythm("cold-chain", "ambient_c", 27, 4, -1, 0.4),
)


def draw(
    rhythm: Rhythm, noise: str, t: Values, n: int, rng: np.random.Generator
) -> tuple[Values, Values]:
    """n series over the local times t (seconds since a Monday 00:00); on the scale of its noise.

    Returns float64[n, len(t)] each: the values, NaN where a reading is missing, and the noise.
    """
    h = np.mod(t, DAY_S) / HOUR_S
    works = (np.floor(t / DAY_S) % 7 < 5) & (((h >= 8) & (h < 12)) | ((h >= 13) & (h < 16)))
    level = np.log(rhythm.level) if rhythm.log else rhythm.level
    peak = rng.uniform(12, 17, (n, 1))
    clean = level + rhythm.swing * rng.uniform(0.6, 1.4, (n, 1)) * np.cos((h - peak) * np.pi / 12)
    clean = clean + rhythm.work * rng.uniform(0.5, 1.5, (n, 1)) * works
    step_s = t[1] - t[0]
    rough = rhythm.sigma * _noise(noise, n, len(t), step_s, rng)
    if noise == "cycles":
        period, duty = rng.uniform(1500, 5400, (n, 1)), rng.uniform(0.3, 0.7, (n, 1))
        wobble = np.cumsum(rng.normal(0, 0.03, (n, len(t))), axis=1)
        rough += 4 * rhythm.sigma * (np.mod(t / period + wobble, 1) < duty)
    if noise == "regimes":
        jumps = rng.random((n, len(t))) < step_s / (6 * DAY_S)
        rough += 0.8 * rhythm.sigma * np.cumsum(jumps * rng.normal(0, 1, (n, len(t))), axis=1)
    if noise == "coarse":
        rough = np.round(rough / (0.7 * rhythm.sigma)) * 0.7 * rhythm.sigma
    values = clean + rough
    if rhythm.kind == PROBE and rhythm.metric != "cpu_temp_c" and "min" not in rhythm.metric:
        values += np.where(rng.random(values.shape) < 0.008, rng.exponential(0.7, values.shape), 0)
    if noise == "missing":
        values[rng.random(values.shape) < 0.1] = np.nan
        for row in values:
            start = rng.integers(len(t))
            row[start : start + int(rng.uniform(1, 8) * HOUR_S / step_s)] = np.nan
    return values, rough


def _noise(noise: str, n: int, steps: int, step_s: float, rng: np.random.Generator) -> Values:
    """Of unit spread: white, with a memory of half an hour or of four hours, or heavy-tailed."""
    if noise == "tails":
        heavy: Values = rng.standard_t(4, (n, steps)) / np.sqrt(2)
        return heavy
    white: Values = rng.normal(0, 1, (n, steps))
    memory_s = {"ar": 1800, "slow": 4 * HOUR_S, "regimes": 600}.get(noise, 0)
    if not memory_s:
        return white
    keep = np.exp(-step_s / memory_s)
    out = np.empty((n, steps))
    out[:, 0] = white[:, 0]
    for k in range(1, steps):
        out[:, k] = keep * out[:, k - 1] + np.sqrt(1 - keep**2) * white[:, k]
    return out
