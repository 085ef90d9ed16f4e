"""Intake and tally: what a run of records says, what is refused, and what adds up."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.catalogue import Catalogue
from devices.registry import Registry
from ingest import tally
from ingest.intake import Intake
from ingest.journal import Record
from tests.path.platform import one_office

NOW = 1_790_000_000_000
P0 = "gov/v1/LA-LP/p0/telemetry"


def intake(registry: Registry | None = None) -> Intake:
    return Intake(registry or one_office(), Catalogue())


def record(payload: Any, topic: str = P0, *, retained: bool = False) -> Record:
    encoded = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Record(0, NOW, topic, encoded, retained)


def native(at_ms: int = NOW, **metrics: float | None) -> dict[str, Any]:
    return {"v": 1, "boot": "b", "seq": 1, "ts": at_ms, "m": metrics}


def test_readings_become_columns() -> None:
    """Series numbers, times and values stand in order of arrival."""
    taker = intake()
    batch = taker.take([
        record(native(dns_ms=14.0, nat_loss_pct=0)),
        record(native(NOW - 1000, dns_ms=15.0), "gov/v1/LA-LP/p1/backfill"),
    ])  # fmt: skip
    assert batch.readings.series.tolist() == [0, 1, 2]
    assert batch.readings.at_ms.tolist() == [NOW, NOW, NOW - 1000]
    assert batch.readings.value.tolist() == [14.0, 0.0, 15.0]
    assert batch.reading_record.tolist() == [0, 0, 1]
    assert batch.refusals == {}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record(native(), "gov/v1/LA-LP/nobody/telemetry"), "unknown-device"),
        (record(native(), "gov/v1/LA-VT/p0/telemetry"), "wrong-province"),
        (record(native(), "gov/v2/LA-LP/p0/telemetry"), "bad-topic"),
        (record(native(), "gov/v1/LA-LP/p0/receipt"), "bad-topic"),
        (record(native(dns_ms=1.0), retained=True), "retained"),
        (record(b"{"), "bad-json"),
        (record(native(NOW + 300_001, dns_ms=1.0)), "clock-future"),
        (record(native(1_577_836_799_999, dns_ms=1.0)), "clock-before-2020"),
        (record(native(temperature_c=20.0)), "unknown-metric"),
        (record(native(nat_loss_pct=100.5)), "outside-hard-range"),
        (record(b"online", "gov/v1/LA-LP/p0/status"), "bad-json"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(bad: Record, reason: str) -> None:
    """Each kind of refusal has its own reason, and nothing of the message is taken."""
    batch = intake().take([bad])
    assert [refusal.reason for refusal in batch.refusals[0]] == [reason]
    assert len(batch.readings) == 0
    assert tally.outcomes(batch, np.zeros(0, np.bool_)).tolist() == ["quarantined"]


def test_a_reading_at_the_edge_of_its_bounds_is_taken() -> None:
    """The bounds themselves are allowed: five minutes ahead, 2020, hard minimum and maximum."""
    batch = intake().take([
        record(native(NOW + 300_000, nat_loss_pct=100)),
        record(native(1_577_836_800_000, nat_loss_pct=0)),
    ])  # fmt: skip
    assert batch.refusals == {}
    assert batch.live.tolist() == [True, False]


def test_refusals_say_what_was_got_and_what_is_allowed() -> None:
    """The detail names metric, value, unit and range."""
    batch = intake().take([record(native(nat_loss_pct=812.0))])
    assert batch.refusals[0][0].detail == "nat_loss_pct 812 % is outside 0..100"


def test_a_boolean_is_zero_or_one() -> None:
    """Half a yes is refused; true, false, 0 and 1 are taken."""
    batch = intake().take([record(native(content_ok=0.5)), record(native(content_ok=True))])
    assert [refusal.reason for refusal in batch.refusals[0]] == ["outside-hard-range"]
    assert batch.readings.value.tolist() == [1.0]


def test_the_list_of_refusals_is_bounded() -> None:
    """A batch of a thousand bad rounds lists the first faults and counts the rest."""
    rounds = [{"seq": n, "ts": NOW, "m": {f"x{n}": 1}} for n in range(1000)]
    batch = intake().take([record({"v": 1, "boot": "b", "r": rounds})])
    assert len(batch.refusals[0]) == 257
    assert batch.refusals[0][-1].detail == "and 744 more; the payload is kept"


def test_a_changed_registry_is_used_at_once() -> None:
    """A device that is registered later is taken from then on."""
    taker = intake(Registry())
    newcomer = record(native(dns_ms=1.0))
    assert 0 in taker.take([newcomer]).refusals
    taker.use(one_office())
    assert taker.take([newcomer]).refusals == {}


payloads = st.one_of(
    st.just(native(dns_ms=1.0)),
    st.just(native(NOW + 1, dns_ms=1.0, nat_loss_pct=500)),
    st.just(native(nat_loss_pct=500)),
    st.just(native()),
    st.binary(max_size=30),
    st.just({"v": 1, "boot": "b", "r": [{"seq": 1, "ts": NOW, "m": {"dns_ms": 1}},
                                        {"seq": 2, "ts": 5, "m": {"dns_ms": 1}}]}),
)  # fmt: skip
topics = st.sampled_from([P0, "gov/v1/LA-LP/p1/backfill", "gov/v1/LA-LP/p0/status", "x"])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(payloads, topics), max_size=8))
def test_every_message_has_exactly_one_outcome(messages: list[tuple[Any, str]]) -> None:
    """stored + duplicate + quarantined is the number of messages, whatever came."""
    batch = intake().take([record(payload, topic) for payload, topic in messages])
    identities = list(
        zip(batch.readings.series.tolist(), batch.readings.at_ms.tolist(), strict=True)
    )
    new = np.array([key not in identities[:n] for n, key in enumerate(identities)], np.bool_)
    became = tally.outcomes(batch, new)
    counts = tally.totals(batch, new, became)
    outcomes = ("messages_stored", "messages_duplicate", "messages_quarantined")
    assert sum(counts[name] for name in outcomes) == len(messages)
    assert counts["readings_stored"] == len(set(identities))
    refused = Counter(r.reason for refusals in batch.refusals.values() for r in refusals)
    assert all(counts[f"refused_{reason}"] == count for reason, count in refused.items())
    account = tally.accounting(batch, new)
    assert sum(hour[0] for hour in account.values()) <= len(batch.round_record)


def test_accounting_counts_rounds_by_device_and_hour() -> None:
    """Late rounds are received too; refusals count in the hour in which they came."""
    hour = NOW // 3_600_000 * 3_600_000
    batch = intake().take([
        record(native(hour, dns_ms=1.0)),
        record(native(hour, dns_ms=1.0)),
        record(native(hour - 3_600_000, dns_ms=2.0)),
        record(native(NOW, nat_loss_pct=101)),
    ])  # fmt: skip
    new = np.array([True, False, True])
    assert tally.accounting(batch, new) == {
        ("p0", hour): (1, int(hour < NOW - 180_000), 1, 1),
        ("p0", hour - 3_600_000): (1, 1, 0, 0),
    }
