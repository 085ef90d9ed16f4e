"""The engine's laws: batches, snapshots, order of arrival, numbering."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection.bank import Bank
from detection.engine import Engine, SnapshotError
from detection.findings import Finding
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from tests.detection.feed import START_MS, device

SERIES = (
    ("connectivity-probe", "nat_rtt_p50_ms", 20.0),
    ("connectivity-probe", "nat_loss_pct", 0.0),
    ("connectivity-probe", "nat_sent", 10.0),
    ("environment", "temperature_c", 25.0),
    ("environment", "co2_ppm", 600.0),
    ("water-level", "level_m", 2.0),
    ("power", "mains_v", 231.0),
    ("presence", "door_open", 0.0),
)


def catalogue(order: int = 1) -> Catalogue:
    """The series above, each of a device of its own."""
    made = Catalogue()
    for n, (kind, metric, _) in list(enumerate(SERIES))[::order]:
        made.add(device(f"d{n}", kind), KINDS[kind].metrics[metric])
    return made


def story(seed: int, rounds: int) -> Readings:
    """Ordinary values with every kind of trouble, some readings missing, late or repeated."""
    rng = np.random.default_rng(seed)
    series: list[int] = []
    times: list[int] = []
    values: list[float] = []
    for k in range(rounds):
        for number, (_, _, level) in enumerate(SERIES):
            at_ms = START_MS + k * 60_000 + number
            value = level * (1 + 0.02 * rng.normal())
            chance = rng.random()
            if chance < 0.02:
                value = level * 2.5 + 30
            elif chance < 0.04:
                at_ms -= 60_000 * int(rng.integers(0, 4))
            elif chance < 0.06:
                continue
            if (k // 40 + number) % 7 == 3:
                value = level * 0.9
            if (k // 30 + number) % 9 == 4:
                value = level * 1.9 + 20
            if k % 97 == 50:
                at_ms += 3_600_000
            series.append(number)
            times.append(at_ms)
            values.append(value)
    return Readings.of(series, times, times, values)


def fed(engine: Engine, readings: Readings, cuts: list[int]) -> list[Finding]:
    """The readings in batches that end at the cuts."""
    found = []
    for start, end in pairwise([0, *sorted(cuts), len(readings)]):
        found += engine.score(readings.take(np.arange(start, end)))
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.data())
def test_one_batch_of_n_equals_n_of_one(seed: int, data: st.DataObject) -> None:
    """However the readings are cut into batches, the findings and the state are the same."""
    readings = story(seed, 150)
    n = len(readings)
    cuts = data.draw(st.lists(st.integers(0, n), max_size=12))
    whole, parts, singles = Engine(catalogue()), Engine(catalogue()), Engine(catalogue())
    found = fed(whole, readings, [])
    assert {f.rule for f in found} >= {"limits", "shift"}
    assert fed(parts, readings, cuts) == found
    assert fed(singles, readings, list(range(1, n))) == found
    assert whole.snapshot() == parts.snapshot() == singles.snapshot()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 1), st.sampled_from([1, -1]))
def test_a_snapshot_at_any_point_changes_nothing(seed: int, share: float, order: int) -> None:
    """An engine restored from a snapshot goes on as if nothing had happened, also renumbered."""
    readings = story(seed, 150)
    n = round(share * len(readings))
    first, rest = readings.take(np.arange(n)), readings.take(np.arange(n, len(readings)))
    straight = Engine(catalogue())
    straight.score(first)
    numbers = np.arange(len(SERIES), dtype=np.int32)
    times = np.full(len(SERIES), START_MS)
    straight.heard(numbers, times, times)
    straight.tick(START_MS + 10_000_000)
    straight.heard(numbers[:3], times[:3] + 10_000_001, times[:3] + 10_000_001)

    restored = Engine(catalogue(order))
    restored.restore(straight.snapshot())
    renumbered = rest.take(np.arange(len(rest)))
    if order == -1:
        renumbered = dataclasses.replace(rest, series=len(SERIES) - 1 - rest.series)
    assert restored.score(renumbered) == straight.score(rest)
    later = START_MS + 20_000_000
    assert sorted(restored.tick(later)) == sorted(straight.tick(later))


def test_older_readings_are_skipped() -> None:
    """What is not newer than the last reading scored of its series changes nothing."""
    engine, other = Engine(catalogue()), Engine(catalogue())
    new = Readings.of([3, 3], [START_MS, START_MS + 60_000], [0, 0], [25, 25.5])
    old = Readings.of([3, 3], [START_MS + 60_000, START_MS - 5], [0, 0], [59.0, 59.0])
    engine.score(new)
    other.score(new)
    assert engine.score(old) == []
    assert engine.snapshot() == other.snapshot()


def test_findings_come_in_order_of_arrival() -> None:
    """Findings of one batch are in the order of its readings, whichever wave they were in."""
    readings = story(7, 150)
    engine = Engine(catalogue())
    found = engine.score(readings)
    places = {(int(s), int(t)): n for n, (s, t) in reversed(list(enumerate(_keys(readings))))}
    order = [places[int(f.device[1:]), f.at_ms] for f in found]
    assert order == sorted(order)
    assert len(order) > 20


def test_the_catalogue_may_grow() -> None:
    """Series and devices that appear later are judged from then on; the others go on."""
    grown = catalogue()
    engine = Engine(grown)
    engine.score(Readings.of([3], [START_MS - 60_000], [0], [25.0]))
    for n in range(3000):
        grown.add(device(f"new{n}"), KINDS["environment"].metrics["temperature_c"])
    number = len(grown) - 1
    for k in range(3):
        at_ms = START_MS + k * 60_000 + 1
        found = engine.score(Readings.of([number, 3], [at_ms] * 2, [0, 0], [50.0, 50.0]))
    assert [(f.device, f.phase) for f in found] == [("new2999", "firing"), ("d3", "firing")]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda b: b[:20], "checksum"),
        (lambda b: b[:5], "cut short"),
        (lambda b: b"GSD0" + b[4:], "version"),
        (lambda b: b[:-9] + bytes([b[-9] ^ 1]) + b[-8:], "checksum"),
        (lambda b: b"", "cut short"),
    ],
)
def test_a_bad_snapshot_is_refused_and_changes_nothing(damage, said) -> None:  # type: ignore[no-untyped-def]
    """Damaged bytes, or those of another version, raise SnapshotError with the reason."""
    source, target = Engine(catalogue()), Engine(catalogue())
    source.score(story(1, 50))
    target.score(story(2, 50))
    before = target.snapshot()
    with pytest.raises(SnapshotError, match=said):
        target.restore(damage(source.snapshot()))
    assert target.snapshot() == before


def test_another_layout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A snapshot of detectors that kept other state is not taken for one of ours."""
    source, target = Engine(catalogue()), Engine(catalogue())
    state = source.snapshot()
    target._clock = Bank(np.array([(-1, 0.0, 0)], [("at", "i8"), ("spacing", "f8"), ("x", "i8")]))
    with pytest.raises(SnapshotError, match="layout"):
        target.restore(state)


def test_what_the_catalogue_lacks_is_left_out() -> None:
    """A snapshot that knows more series than the catalogue restores those that there are."""
    source = Engine(catalogue())
    readings = story(3, 100)
    source.score(readings)
    fewer = Catalogue()
    fewer.add(device("d3"), KINDS["environment"].metrics["temperature_c"])
    target = Engine(fewer)
    target.restore(source.snapshot())
    last_ms = int(readings.at_ms[readings.series == 3].max())
    assert target.score(Readings.of([0], [last_ms], [0], [59.0])) == []
    at_ms = [last_ms + 60_000 * n for n in (1, 2, 3)]
    found = target.score(Readings.of([0] * 3, at_ms, at_ms, [25.0, 25.1, 24.9]))
    assert ("limits", "clear") in [(f.rule, f.phase) for f in found]


def test_state_is_under_two_kilobytes_a_series() -> None:
    """What a snapshot holds per series, names included, stays below 2,048 bytes."""
    many = Catalogue()
    for n in range(1000):
        many.add(device(f"d{n}"), KINDS["environment"].metrics["temperature_c"])
    assert len(Engine(many).snapshot()) < 2_048_000


def _keys(readings: Readings) -> list[tuple[int, int]]:
    return list(zip(readings.series.tolist(), readings.at_ms.tolist(), strict=True))
