"""Laws of the rules: cuts between rounds and snapshots change nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.engine import Engine
from detection.findings import Finding
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from devices.registry import Device
from tests.detection.feed import START_MS

DEVICES = (
    Device("fridge", "s1", "cold-chain", 300, 1, {}),
    Device("probe", "s1", "connectivity-probe", 300, 1, {}),
    Device("street", "s2", "air-quality", 300, 1, {}),
    Device("meter", "s2", "power", 300, 1, {}),
    Device("tank", "s3", "water-level", 300, 1, {"height_m": 4.0}),
)
HEALTHY: dict[str, dict[str, float]] = {
    "cold-chain": {"temperature_c": 4.5, "ambient_c": 27, "door_open": 0, "mains_on": 1},
    "connectivity-probe": {
        "nat_loss_pct": 0,
        "nat_rtt_min_ms": 12,
        "nat_rtt_p50_ms": 15,
        "nat_rtt_p95_ms": 30,
        "int_loss_pct": 0,
        "dns_ms": 20,
        "tcp_ms": 15,
        "tls_ms": 30,
        "content_ok": 1,
    },
    "air-quality": {"pm2_5_ugm3": 30, "pm10_ugm3": 45},
    "power": {
        "mains_v": 230,
        "mains_on": 1,
        "current_a": 12,
        "energy_kwh": 100,
        "frequency_hz": 50,
    },
    "water-level": {"level_m": 2, "flow_m3h": 5},
}
Round = tuple[int, int, dict[str, float]]  # device, event time, values
STRANGE = (0.0, 85.0, -1.0, 41.0, 9.0, 200.0, 0.7)


def catalogue(order: int = 1) -> Catalogue:
    """The series of these devices, numbered forwards or backwards."""
    made = Catalogue()
    for device in DEVICES[::order]:
        for name in list(HEALTHY[device.kind])[::order]:
            made.add(device, KINDS[device.kind].metrics[name])
    return made


def story(seed: int, n: int) -> list[Round]:
    """Rounds with every kind of trouble in spells, some metrics or rounds missing."""
    rng = np.random.default_rng(seed)
    rounds: list[Round] = []
    strange: dict[tuple[int, str], float] = {}
    for k in range(n):
        if k % 12 == 0:
            strange = {
                (d, name): float(rng.choice(STRANGE))
                for d, device in enumerate(DEVICES)
                for name in HEALTHY[device.kind]
                if rng.random() < 0.3
            }
        for d, device in enumerate(DEVICES):
            if rng.random() < 0.05:
                continue
            values = {
                name: strange.get(
                    (d, name), level * (1 + 0.01 * rng.random()) if level > 1 else level
                )
                for name, level in HEALTHY[device.kind].items()
                if rng.random() > 0.03
            }
            at_ms = START_MS + k * 300_000 + 100 * d + 7_200_000 * (k // 40)
            rounds.append((d, at_ms, values))
    return rounds


def columns(rounds: list[Round], made: Catalogue) -> tuple[Readings, Readings]:
    """The rounds as one batch: taken and refused readings."""
    taken: list[tuple[int, int, float]] = []
    refused: list[tuple[int, int, float]] = []
    for d, at_ms, values in rounds:
        for name, value in values.items():
            number = made.find(DEVICES[d].device, name)
            assert number is not None
            possible = made.hard_min[number] <= value <= made.hard_max[number]
            (taken if possible else refused).append((number, at_ms, value))
    return _readings(taken), _readings(refused)


def _readings(rows: list[tuple[int, int, float]]) -> Readings:
    times = [at for _, at, _ in rows]
    return Readings.of([n for n, _, _ in rows], times, times, [v for *_, v in rows])


def fed(engine: Engine, made: Catalogue, rounds: list[Round], size: int) -> list[Finding]:
    """The rounds in batches of so many."""
    found = []
    for start in range(0, len(rounds), size):
        found += engine.score(*columns(rounds[start : start + size], made))
    return found


def in_order(found: list[Finding]) -> list[Finding]:
    """Findings by time, device, metric and rule; of one round, in the order they came."""
    return sorted(found, key=lambda f: (f.at_ms, f.device, f.metric, f.rule))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 200))
def test_batches_of_any_size_find_the_same(seed: int, size: int) -> None:
    """One batch of all rounds, batches of some, and each round alone: the same findings."""
    rounds, made = story(seed, 100), catalogue()
    singles, some, whole = Engine(made), Engine(made), Engine(made)
    found = in_order(fed(singles, made, rounds, 1))
    assert len({f.rule for f in found}) > 8
    assert in_order(fed(some, made, rounds, size)) == found
    assert in_order(fed(whole, made, rounds, len(rounds))) == found
    assert singles.snapshot() == some.snapshot() == whole.snapshot()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 1), st.sampled_from([1, -1]))
def test_a_snapshot_at_any_point_changes_nothing(seed: int, share: float, order: int) -> None:
    """An engine restored anywhere goes on as if nothing had happened, also renumbered."""
    rounds, made, renumbered = story(seed, 100), catalogue(), catalogue(order)
    at = round(share * len(rounds))
    straight, restored = Engine(made), Engine(renumbered)
    fed(straight, made, rounds[:at], 7)
    restored.restore(straight.snapshot())
    expected = in_order(fed(straight, made, rounds[at:], 7))
    assert in_order(fed(restored, renumbered, rounds[at:], 7)) == expected
