"""Faults: what each type does to what a device publishes, and the truth that is written of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devices.kinds import KINDS
from devices.wire import Message, PayloadError, decode
from simulators.feed import Step
from simulators.identity import Identity
from simulators.malformed import MALFORMED
from tests.simulators.country import START_MS, country, run_of

ENVIRONMENT = "facility-environment"


def steps_of(device: str, *faults: dict[str, Any], **options: Any) -> list[Step]:
    return list(run_of(*faults, **options).feeds[device].steps())


def message(step: Step, kind: str = "environment") -> Message:
    return decode(step.payload, KINDS[kind], step.at_ms)


def series(steps: list[Step], metric: str, kind: str = "environment") -> dict[int, float]:
    """Values by event time of everything published."""
    return {
        said.at_ms: said.values[metric]
        for step in steps
        if step.payload
        for said in message(step, kind).rounds
        if metric in said.values
    }


def fault(type_: str, **keys: Any) -> dict[str, Any]:
    return {"type": type_, "device": ENVIRONMENT, "start": "10m", **keys}


def window(**options: Any) -> tuple[int, int]:
    (placed,) = run_of(options.pop("of"), **options).faults
    return placed.start_ms, placed.end_ms


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (fault("spike", metric="co2_ppm", size=900), lambda v, share: v + 900),
        (fault("spike", metric="co2_ppm", size="x3"), lambda v, share: 3 * v),
        (fault("level-shift", metric="co2_ppm", size=200, duration="8m"), lambda v, s: v + 200),
        (fault("drift", metric="co2_ppm", size=400, duration="8m"), lambda v, s: v + 400 * s),
    ],
)
def test_values_are_moved_inside_the_fault_and_only_there(described: Any, expected: Any) -> None:
    """A value fault moves each value of its window by its size and leaves every other alone."""
    healthy = series(steps_of(ENVIRONMENT), "co2_ppm")
    faulty = series(steps_of(ENVIRONMENT, described), "co2_ppm")
    start_ms, end_ms = window(of=described)
    assert start_ms >= START_MS + 600_000
    assert any(start_ms <= at < end_ms for at in healthy)
    for at_ms, value in healthy.items():
        if start_ms <= at_ms < end_ms:
            share = (at_ms - start_ms) / (end_ms - start_ms)
            assert faulty[at_ms] == pytest.approx(expected(value, share), abs=2.0)
        else:
            assert faulty[at_ms] == value


def test_a_stuck_value_is_frozen_or_set() -> None:
    """A stuck metric repeats its value at the start, or the one that the scenario gives."""
    frozen = fault("stuck", metric="temperature_c", duration="8m")
    start_ms, end_ms = window(of=frozen)
    for described in (frozen, frozen | {"value": 85.0}):
        values = series(steps_of(ENVIRONMENT, described), "temperature_c")
        inside = {value for at, value in values.items() if start_ms <= at < end_ms}
        assert len(inside) == 1
    assert inside == {85.0}
    assert series(steps_of(ENVIRONMENT, frozen), "temperature_c")[start_ms] == pytest.approx(
        series(steps_of(ENVIRONMENT), "temperature_c")[start_ms]
    )


def test_a_probe_stays_consistent_under_a_fault() -> None:
    """A moved loss moves the received packets; a moved round trip moves all four of its tier."""
    device, kind = "probe-fibre", "connectivity-probe"
    lost = {"type": "level-shift", "device": device, "metric": "nat_loss_pct", "size": 100,
            "start": "5m", "duration": "5m"}  # fmt: skip
    slow = lost | {"metric": "int_rtt_p50_ms", "size": 300, "start": "15m"}
    run = run_of(lost, slow)
    start_ms, end_ms = run.faults[0].start_ms, run.faults[0].end_ms
    steps = list(run.feeds[device].steps())
    received = series(steps, "nat_rcvd", kind)
    assert {v for at, v in received.items() if start_ms <= at < end_ms} == {0.0}
    assert not any(start_ms <= at < end_ms for at in series(steps, "nat_rtt_p50_ms", kind))
    for part in ("min", "p50", "p95"):
        values = series(steps, f"int_rtt_{part}_ms", kind)
        assert values[run.faults[1].start_ms] > 300


@pytest.mark.parametrize("how", ["disconnect", "mute"])
def test_silence(how: str) -> None:
    """A silent device publishes nothing; it is cut from the broker unless it only falls mute."""
    described = fault("silence", duration="8m", how=how)
    start_ms, end_ms = window(of=described)
    steps = steps_of(ENVIRONMENT, described)
    assert not [s for s in steps if s.payload and start_ms <= s.at_ms < end_ms]
    assert [s.at_ms for s in steps if s.what == "cut"] == ([start_ms] if how[0] == "d" else [])
    connects = [s.at_ms for s in steps if s.what == "connect"]
    assert connects == ([START_MS, end_ms] if how[0] == "d" else [START_MS])
    after = [s for s in steps if s.payload and s.at_ms >= end_ms]
    healthy = series(steps_of(ENVIRONMENT), "co2_ppm")
    assert series(after, "co2_ppm") == {at: v for at, v in healthy.items() if at >= end_ms}


def test_a_late_batch_loses_nothing() -> None:
    """Rounds held back arrive together as backfill, with their event times and numbers."""
    described = fault("late-batch", duration="8m")
    start_ms, end_ms = window(of=described)
    steps = steps_of(ENVIRONMENT, described)
    (batch,) = [s for s in steps if s.what == "backfill"]
    assert batch.at_ms == end_ms
    assert {r.at_ms for r in message(batch).rounds} == set(range(start_ms, end_ms, 60_000))
    assert series(steps, "co2_ppm") == series(steps_of(ENVIRONMENT), "co2_ppm")
    numbers = [r.seq for s in steps if s.payload for r in message(s).rounds]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_late_batch_at_the_end_of_the_run_is_sent() -> None:
    """What is still held back when the run ends goes out before the device leaves."""
    steps = steps_of(ENVIRONMENT, fault("late-batch", duration="2h"))
    assert [s.what for s in steps[-2:]] == ["backfill", "leave"]
    assert series(steps, "co2_ppm") == series(steps_of(ENVIRONMENT), "co2_ppm")


def test_a_duplicate_is_the_same_message_again() -> None:
    """A duplicate repeats payloads byte for byte."""
    described = fault("duplicate", duration="2 rounds", copies=2)
    payloads = [s.payload for s in steps_of(ENVIRONMENT, described) if s.payload]
    assert sorted(payloads.count(p) for p in set(payloads)) == [1] * 28 + [3, 3]


EXPECTED = {
    "empty": "empty",
    "not-json": "bad-json",
    "truncated": "bad-json",
    "bad-utf8": "bad-utf8",
    "not-a-number": "not-a-number",
    "number-too-large": "number-too-large",
    "text-value": "bad-value",
    "too-deep": "too-deep",
    "too-many-fields": "too-many-fields",
    "wrong-version": "bad-version",
    "without-time": "bad-envelope",
    "unknown-key": "unknown-key",
    "oversize": "oversize",
}


@pytest.mark.parametrize("name", sorted(MALFORMED))
def test_each_malformed_payload_is_refused_for_its_own_reason(name: str) -> None:
    """What is made malformed in one way is refused by the wire for that reason, and only once."""
    described = fault("malformed", payload=name)
    start_ms, _ = window(of=described)
    steps = [s for s in steps_of(ENVIRONMENT, described) if s.payload or s.what == "telemetry"]
    (bad,) = [s for s in steps if s.at_ms == start_ms]
    try:
        said = message(bad)
        found = [refusal.reason for refusal in said.refusals]
        assert len(said.rounds) == 1
    except PayloadError as exc:
        found = [exc.reason]
    if name == "unknown-metric":  # only who knows the device's kind can refuse it
        assert found == []
        assert "temprature" in said.rounds[0].values
    else:
        assert found == [EXPECTED[name]]
    others = [message(s) for s in steps if s.at_ms != start_ms]
    assert not any(said.refusals for said in others)


def test_truth_is_the_same_for_the_same_seed_and_ends_with_the_run(tmp_path: Path) -> None:
    """Two runs write the same bytes; a fault beyond the end is left out, one across it cut."""
    chosen = {"select": {"kind": "connectivity-probe", "count": 2}, "duration": "2h"}
    described: list[dict[str, Any]] = [
        {"type": "silence", "start": "20m", **chosen},
        fault("spike", metric="co2_ppm", size=900),
        fault("spike", metric="co2_ppm", size=900, start="40m"),
    ]
    for name in ("a", "b"):
        run_of(*described).write_truth(tmp_path / name)
    text = (tmp_path / "a").read_text()
    assert text == (tmp_path / "b").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["fault"] for line in lines] == ["f2", "f1.1", "f1.2"] or [
        line["fault"] for line in lines
    ] == ["f2", "f1.2", "f1.1"]
    spike = lines[0]
    assert spike["devices"] == [ENVIRONMENT]
    assert spike["sites"] == ["hospital-1"]
    assert (spike["type"], spike["nature"], spike["cause"], spike["metric"]) == (
        "spike", "data_quality", "sensor", "co2_ppm",
    )  # fmt: skip
    assert spike["scope"] == {"type": "device", "id": ENVIRONMENT}
    assert all(line["end"] <= START_MS + 30 * 60_000 for line in lines)


def test_steps_are_in_order_and_first_rounds_are_spread() -> None:
    """A run's steps never go back in time, and the devices do not all report at once."""
    run = run_of(minutes=5)
    steps = list(run.steps())
    assert [s.at_ms for s in steps] == sorted(s.at_ms for s in steps)
    assert steps == list(run_of(minutes=5).steps())
    first: dict[str, int] = {}
    for step in steps:
        if step.payload:
            first.setdefault(step.device, step.at_ms - START_MS)
    assert len(set(first.values())) > len(country().devices) / 2
    assert max(first.values()) < 60_000


def test_a_boot_belongs_to_one_device_in_one_run() -> None:
    """No two devices share a boot, and another start is another boot, as after a real restart."""
    run = run_of(minutes=1)
    boots = {identity.boot for identity in run.identities.values()}
    assert len(boots) == len(run.identities)
    assert boots == {identity.boot for identity in run_of(minutes=5).identities.values()}
    device = country().devices[ENVIRONMENT]
    later = Identity.of(device, country().sites[device.site], seed=1, start_ms=START_MS + 1)
    assert later.boot not in boots
