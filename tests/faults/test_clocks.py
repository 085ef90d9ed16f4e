"""Devices whose clocks are wrong: no future and no 1970 is ever taken for what is live."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.catalogue import Catalogue
from ingest.intake import Batch, Intake
from ingest.journal import Record
from tests.faults.guarantees import record, size
from tests.path.platform import one_office

pytestmark = pytest.mark.guarantee
NOW_MS = 1_790_000_000_000
INTERVAL_S = 60.0
LATE_MS = 180_000  # three intervals: what arrives later is not live
AHEAD_MS = 300_000
YEAR_2020_MS = 1_577_836_800_000
HOUR_MS, YEAR_MS = 3_600_000, 31_557_600_000
EXAMPLES = size(quick=100, long=3000)
COUNTED: Counter[str] = Counter()

WRONG_MS = st.sampled_from([
    -NOW_MS, -NOW_MS + 1, -NOW_MS - YEAR_MS, -10 * YEAR_MS, 10 * YEAR_MS, 7 * HOUR_MS,
    -7 * HOUR_MS, AHEAD_MS, AHEAD_MS + 1, -LATE_MS, -LATE_MS - 1, YEAR_2020_MS - NOW_MS,
    YEAR_2020_MS - NOW_MS - 1, 2**53 - NOW_MS, 8_640_000_000_000_000 - NOW_MS, 0,
])  # fmt: skip
OFFSETS_MS = WRONG_MS | st.integers(-20 * YEAR_MS, 20 * YEAR_MS) | st.integers(-400_000, 400_000)
FORMS = st.sampled_from(["native", "batch", "senml", "senml relative"])


def payload(form: str, offsets_ms: list[int]) -> bytes:
    """A message of rounds at these times, relative to when it is received."""
    times = [NOW_MS + offset_ms for offset_ms in offsets_ms]
    if form == "native":
        return _text({"v": 1, "boot": "b", "seq": 1, "ts": times[0], "m": {"dns_ms": 5.0}})
    if form == "batch":
        rounds = [{"seq": n, "ts": at_ms, "m": {"dns_ms": 5.0}} for n, at_ms in enumerate(times)]
        return _text({"v": 1, "boot": "b", "r": rounds})
    if form == "senml":
        return _text([{"n": "dns_ms", "t": at_ms / 1000, "v": 5.0} for at_ms in times])
    return _text([{"n": "dns_ms", "t": offset_ms / 1000, "v": 5.0} for offset_ms in offsets_ms])


def _text(tree: object) -> bytes:
    return json.dumps(tree).encode()


def taken(sent: bytes, channel: str = "telemetry") -> Batch:
    """What intake makes of one message of a probe that is received at NOW_MS."""
    intake = Intake(one_office(1, interval_s=INTERVAL_S), Catalogue())
    return intake.take([Record(0, NOW_MS, f"gov/v1/LA-LP/p0/{channel}", sent)])


def check(batch: Batch) -> None:
    """What is stored lies between 2020 and five minutes ahead; what is live, around now."""
    at_ms = batch.readings.at_ms
    live_ms = at_ms[batch.live]
    assert np.all((at_ms >= YEAR_2020_MS) & (at_ms <= NOW_MS + AHEAD_MS))
    assert np.all((live_ms >= NOW_MS - LATE_MS) & (live_ms <= NOW_MS + AHEAD_MS))
    COUNTED["live"] += len(live_ms)
    COUNTED["late"] += len(at_ms) - len(live_ms)
    COUNTED["refused"] += sum(len(one) for one in batch.refusals.values())


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    FORMS, st.lists(OFFSETS_MS, min_size=1, max_size=8), st.sampled_from(["telemetry", "backfill"])
)
@example("native", [7 * HOUR_MS], "telemetry")
@example("senml relative", [-7 * HOUR_MS], "backfill")
def test_no_wrong_clock_is_taken_for_a_right_one(
    form: str, offsets_ms: list[int], channel: str
) -> None:
    """Any clock in any format: refused, or late, or live because it is right."""
    sent = payload(form, offsets_ms)
    batch = taken(sent, channel)
    check(batch)
    if form in ("native", "batch"):
        said = offsets_ms[:1] if form == "native" else offsets_ms
        fits = [YEAR_2020_MS - NOW_MS <= one <= AHEAD_MS for one in said]
        live = [-LATE_MS <= one <= AHEAD_MS for one in said]
        assert (len(batch.readings), int(batch.live.sum())) == (sum(fits), sum(live))
        assert sum(len(one) for one in batch.refusals.values()) == len(said) - sum(fits)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600_000), OFFSETS_MS), min_size=2, max_size=20))
def test_a_clock_that_jumps_is_judged_anew_with_every_message(
    steps: list[tuple[int, int]],
) -> None:
    """A device may be wrong, right and wrong again: each message stands for itself."""
    intake = Intake(one_office(1, interval_s=INTERVAL_S), Catalogue())
    records, now_ms = [], NOW_MS
    for n, (passed_ms, offset_ms) in enumerate(steps):
        now_ms += passed_ms
        said = {"v": 1, "boot": "b", "seq": n, "ts": now_ms + offset_ms, "m": {"dns_ms": 5.0}}
        records.append(Record(n, now_ms, "gov/v1/LA-LP/p0/telemetry", _text(said)))
    batch = intake.take(records)
    live = {int(n) for n in batch.reading_record[batch.live]}
    assert live == {n for n, (_, one) in enumerate(steps) if -LATE_MS <= one <= AHEAD_MS}
    COUNTED["live"] += len(live)
    COUNTED["late"] += len(batch.readings) - len(live)
    COUNTED["refused"] += sum(len(one) for one in batch.refusals.values())


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.sampled_from(["", "1970", "now"]),
        lambda inner: st.lists(inner, max_size=2),
    )
)
@example(1e18)
@example(-0.0)
def test_a_time_that_is_none_is_refused(said: object) -> None:
    """Texts, fractions, booleans, lists in place of a time: nothing is stored for them."""
    if isinstance(said, float) and not math.isfinite(said):
        said = str(said)
    batch = taken(_text({"v": 1, "ts": said, "m": {"dns_ms": 5.0}}))
    check(batch)
    if type(said) is not int:
        assert len(batch.readings) == 0
        assert batch.refusals


def test_the_figure() -> None:
    """The three tests above have checked each of very many clocks."""
    if not COUNTED:
        pytest.skip("the tests that count did not run")
    assert min(COUNTED.values()) > 0
    assert set(COUNTED) == {"live", "late", "refused"}
    figure = ", ".join(f"{name} {count:,}" for name, count in COUNTED.items())
    record("clocks", f"0 of {COUNTED.total():,} rounds ({figure})", met=True)
