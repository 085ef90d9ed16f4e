"""Detection alone: readings a second with every detector on, and state per series.

    python -m bench.detection

One process, one core, by the time that the process had of it. Each call scores one reading of each
of n series of connectivity probes and of facility sensors; a hundred readings of each series are
scored first, so that every detector judges. The state is that of the engine's own arrays.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from detection.engine import Engine
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from devices.registry import Device

START_MS = 1_790_000_000_000
INTERVAL_MS = 60_000
REPORTED = {  # what a device of the kind says in every round
    "connectivity-probe": (
        "nat_rtt_p50_ms",
        "nat_loss_pct",
        "int_rtt_p50_ms",
        "int_loss_pct",
        "dns_ms",
        "http_total_ms",
    ),
    "environment": ("temperature_c", "humidity_pct", "co2_ppm", "battery_v"),
    "water-level": ("level_m", "flow_m3h", "pressure_bar", "pump_on"),
    "power": ("mains_v", "frequency_hz", "current_a", "energy_kwh"),
    "cold-chain": ("temperature_c", "ambient_c", "door_open", "mains_on"),
}


def main() -> None:
    """Print one line per size of a call."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="time spent on each size")
    seconds = parser.parse_args().seconds
    for n in (1, 64, 1000, 5000):
        rate, state = measure(n, seconds)
        print(f"{n:>6} series a call: {rate:>12,.0f} readings/s, {state:,.0f} bytes a series")
    for rounds in (10, 50):
        rate, _ = measure(600, seconds, rounds)
        print(f"   600 series, {rounds} rounds a call: {rate:>9,.0f} readings/s")


def measure(n: int, seconds: float, rounds: int = 1) -> tuple[float, float]:
    """Readings a second, and bytes of state per series, for n series in each call."""
    catalogue = fleet(n)
    engine = Engine(catalogue)
    rng = np.random.default_rng(1)
    values = levels(catalogue)
    steady = np.array([catalogue[k].metric.unit in ("bool", "%", "kWh") for k in range(n)])
    spread = np.where(steady, 0.0, np.maximum(values * 0.002, 0.02))
    number = 0
    taken, spent = 0, 0.0
    while spent < seconds:
        batch = next_batch(values, spread, number, rounds, rng)
        number += rounds
        began = time.process_time()
        engine.score(batch)
        if number > 100:
            spent += time.process_time() - began
            taken += len(batch)
    return taken / spent, len(engine.snapshot()) / n


def fleet(n: int) -> Catalogue:
    """A catalogue of n series, kind after kind."""
    catalogue = Catalogue()
    kinds = list(REPORTED)
    while len(catalogue) < n:
        number = len(catalogue.devices)
        kind = kinds[number % len(kinds)]
        device = Device(f"d{number}", f"s{number}", kind, INTERVAL_MS / 1000, 1, {})
        for name in REPORTED[kind][: n - len(catalogue)]:
            catalogue.add(device, KINDS[kind].metrics[name])
    return catalogue


def levels(catalogue: Catalogue) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A plausible value for each series: inside its limits, so that nothing fires."""
    usual = {"%": 0.0, "m": 2.0, "bool": 1.0}
    quiet = {"door_open": 0.0, "co2_ppm": 600.0}
    metrics = [catalogue[number].metric for number in range(len(catalogue))]
    return np.array(
        [
            quiet[m.name]
            if m.name in quiet
            else (m.plausible_min + m.plausible_max) / 2
            if m.plausible_min is not None and m.plausible_max is not None and m.unit != "%"
            else usual.get(m.unit, 20.0)
            for m in metrics
        ]
    )


def next_batch(
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
    spread: np.ndarray[tuple[int], np.dtype[np.float64]],
    number: int,
    rounds: int,
    rng: np.random.Generator,
) -> Readings:
    """The next rounds of every series."""
    n = len(values)
    at_ms = START_MS + np.repeat(np.arange(number, number + rounds), n) * INTERVAL_MS
    noise = rng.normal(0, 1, (rounds, n)) * spread
    return Readings(
        series=np.tile(np.arange(n, dtype=np.int32), rounds),
        at_ms=at_ms,
        received_ms=at_ms,
        value=(values + noise).ravel(),
    )


if __name__ == "__main__":
    main()
