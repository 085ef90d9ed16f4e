"""What ingest commits of a batch: all of it or nothing, counted exactly, told once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, StatementError

from devices.wire.message import Refusal
from storage.ledger import device_states, events, progress, totals
from storage.ledger.accounting import HOUR_MS, device_hours
from storage.ledger.facts import DeviceSeen, Facts, Quarantined, Replayed, commit
from storage.ledger.inventory import get_device
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.quarantine import (
    QuarantineFilter,
    get_quarantined,
    list_quarantine,
    request_replay,
    requested,
)
from storage.ledger.registry import add_registry
from storage.ledger.schema import events as events_table
from tests.storage.country import registered
from tests.storage.test_alerts import NOW, apply, change, states

HOUR = NOW // HOUR_MS * HOUR_MS
BIRTH = {"state": "online", "kind": "connectivity-probe", "fw": "1.4.2"}
UNKNOWN = Refusal("unknown-metric", "m.x", "connectivity-probe has no metric 'x'")
RANGE = Refusal("outside-hard-range", "m.dns_ms", "dns_ms -1 ms is outside 0..60000")


def quarantined(*refusals: Refusal, device: str = "probe-s1", whole: bool = True) -> Quarantined:
    """A message that was refused for these reasons."""
    topic = f"gov/v1/LA-LP/{device}/telemetry"
    return Quarantined(NOW, topic, device, b"\xff{", refusals, whole)


def seen(
    device: str = "probe-s1", at_ms: int = NOW, status: dict[str, Any] | None = None
) -> DeviceSeen:
    """A device that was heard, with one reading."""
    return DeviceSeen(device, at_ms, {"dns_ms": (at_ms - 300, 14.5)}, status)


def everything(position: int) -> Facts:
    """Facts of every kind."""
    return Facts(
        position=position,
        alert_changes=[change("firing", f"a{position}", rule=f"rule-{position}")],
        quarantined=[quarantined(UNKNOWN)],
        device_seen=[seen(at_ms=NOW + position, status=BIRTH)],
        accounting={("probe-s1", HOUR): (2, 1, 1, 1)},
        totals={"messages_stored": 3, "refused_unknown-metric": 1},
        snapshot=(position, b"state %d" % position),
    )


def ledger_says(ledger: Ledger) -> dict[str, Any]:
    """Everything that facts leave behind."""
    return {
        "position": progress.position(ledger),
        "totals": totals.read(ledger),
        "alerts": states(ledger),
        "events": events.since(ledger, 0, 100),
        "quarantine": list_quarantine(ledger, QuarantineFilter(), limit=100),
        "heard": device_states.load_heard(ledger),
        "snapshot": progress.load_snapshot(ledger),
    }


def test_facts_are_there_after_their_commit(ledger: Ledger) -> None:
    """Every part of the facts can be read back."""
    assert progress.position(ledger) == 0
    assert progress.load_snapshot(ledger) is None
    commit(ledger, everything(7), now_ms=NOW)
    assert progress.position(ledger) == 7
    assert progress.load_snapshot(ledger) == (7, b"state 7")
    assert totals.read(ledger) == ({"messages_stored": 3, "refused_unknown-metric": 1}, 7)
    assert states(ledger) == {"a7": "firing"}
    heard = device_states.load_heard(ledger)
    assert heard == {"probe-s1": (NOW + 7, {"dns_ms": (NOW - 293, 14.5)})}
    (row,) = list_quarantine(ledger, QuarantineFilter(), limit=10)
    assert (row.payload, row.reason, row.state, row.whole) == (
        b"\xff{",
        "unknown-metric",
        "held",
        True,
    )
    assert row.refusals == [UNKNOWN._asdict()]


def test_counts_are_added(ledger: Ledger) -> None:
    """Totals and accounting grow by what each commit says, and may be taken back."""
    add_registry(ledger, registered([("s1", "LA-LP", "luangprabang")]))
    commit(ledger, everything(1), now_ms=NOW)
    commit(ledger, everything(2), now_ms=NOW)
    commit(ledger, Facts(position=3, totals={"refused_unknown-metric": -1}), now_ms=NOW)
    assert totals.read(ledger) == ({"messages_stored": 6, "refused_unknown-metric": 1}, 3)
    hours = device_hours(ledger, "probe-s1", from_ms=HOUR, to_ms=HOUR + 1, now_ms=NOW)
    assert [tuple(hour)[2:6] for hour in hours] == [(4, 2, 2, 2)]


@pytest.mark.parametrize("broken", ["alert", "snapshot"])
def test_facts_that_fail_leave_nothing(ledger: Ledger, broken: str) -> None:
    """When one part cannot be written, no other part is."""
    commit(ledger, everything(1), now_ms=NOW)
    before = ledger_says(ledger)
    facts = everything(2)
    if broken == "alert":
        facts.alert_changes.append(change("firing", "second", rule="other", site=None))
    else:
        facts.snapshot = (2, "not bytes")  # type: ignore[assignment]
    with pytest.raises((IntegrityError, StatementError, TypeError)):
        commit(ledger, facts, now_ms=NOW)
    assert ledger_says(ledger) == before


def test_a_kill_between_commits_leaves_whole_commits(tmp_path: Path) -> None:
    """A process killed while it commits leaves every part at the same position."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    open_ledger(url).close()
    code = (
        "from tests.storage.test_facts import *\n"
        f"ledger = open_ledger({url!r})\n"
        "for position in range(1, 100_000):\n"
        "    commit(ledger, everything(position), now_ms=NOW)\n"
        "    print(position, flush=True)\n"
    )
    told = 0
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        for line in writer.stdout:
            told = int(line)
            if told == 40:
                writer.kill()
    ledger = open_ledger(url)
    position = progress.position(ledger)
    assert told <= position <= told + 1
    assert totals.read(ledger).counts["messages_stored"] == 3 * position
    assert len(states(ledger)) == position
    assert progress.load_snapshot(ledger) == (position, b"state %d" % position)
    assert device_states.load_heard(ledger)["probe-s1"].last_seen_ms == NOW + position
    ledger.close()


def test_a_snapshot_replaces_the_last_one(ledger: Ledger) -> None:
    """One snapshot is kept; a commit without one leaves it."""
    commit(ledger, Facts(position=1, snapshot=(1, b"one")), now_ms=NOW)
    commit(ledger, Facts(position=2, snapshot=(2, b"two")), now_ms=NOW)
    commit(ledger, Facts(position=3), now_ms=NOW)
    assert progress.load_snapshot(ledger) == (2, b"two")
    assert progress.position(ledger) == 3


def test_going_online_and_offline_is_told_once(ledger: Ledger) -> None:
    """A status message makes an event where it says something else than the one before."""
    said = [BIRTH, None, BIRTH, {"state": "offline"}, {"state": "offline"}, BIRTH]
    for at, status in enumerate(said):
        commit(ledger, Facts(position=at, device_seen=[seen(status=status)]), now_ms=NOW + at)
    told = [(e.at_ms - NOW, e.type, e.data) for e in events.since(ledger, 0, 100)]
    assert told == [
        (0, "device", {"device": "probe-s1", "state": "online"}),
        (3, "device", {"device": "probe-s1", "state": "offline"}),
        (5, "device", {"device": "probe-s1", "state": "online"}),
    ]


def test_an_old_message_does_not_make_a_device_older(ledger: Ledger) -> None:
    """A message replayed from quarantine does not set back when a device was last heard."""
    commit(ledger, Facts(position=1, device_seen=[seen(at_ms=NOW)]), now_ms=NOW)
    commit(ledger, Facts(position=1, device_seen=[seen(at_ms=NOW - HOUR_MS)]), now_ms=NOW)
    assert device_states.load_heard(ledger)["probe-s1"].last_seen_ms == NOW


def test_the_first_time_a_device_was_heard_stays(ledger: Ledger) -> None:
    """Accounting begins with a device's first message, however often it is heard."""
    add_registry(ledger, registered([("s1", "LA-LP", "luangprabang")]))
    for at_ms in (NOW, NOW + HOUR_MS):
        commit(ledger, Facts(position=1, device_seen=[seen(at_ms=at_ms)]), now_ms=at_ms)
    device = get_device(ledger, "probe-s1", now_ms=NOW + HOUR_MS)
    assert device is not None
    assert (device.first_seen_ms, device.last_seen_ms) == (NOW, NOW + HOUR_MS)


def test_a_replayed_message_leaves_quarantine(ledger: Ledger) -> None:
    """Requested messages are replayed in order; what is still refused is held for its reason."""
    refused = [quarantined(UNKNOWN), quarantined(UNKNOWN), quarantined(RANGE)]
    commit(ledger, Facts(position=1, quarantined=refused), now_ms=NOW)
    assert request_replay(ledger, QuarantineFilter(reason="unknown-metric")) == [1, 2]
    assert request_replay(ledger, QuarantineFilter(reason="unknown-metric")) == []
    assert [row.id for row in requested(ledger, limit=10, max_bytes=10**6)] == [1, 2]
    assert [row.id for row in requested(ledger, limit=1, max_bytes=10**6)] == [1]
    became = [Replayed(1, [], whole=False), Replayed(2, [RANGE, UNKNOWN], whole=False)]
    commit(ledger, Facts(position=1, replayed=became), now_ms=NOW + 5)
    first, second, third = (get_quarantined(ledger, number) for number in (1, 2, 3))
    assert first is not None
    assert (first.state, first.replayed_ms, first.reason) == ("replayed", NOW + 5, "unknown-metric")
    assert second is not None
    assert (second.state, second.replayed_ms, second.reason) == ("held", None, "outside-hard-range")
    assert (second.whole, len(second.refusals)) == (False, 2)
    assert third is not None
    assert (third.state, third.whole) == ("held", True)


def test_quarantine_is_filtered_and_paged(ledger: Ledger) -> None:
    """Newest first, by reason, device, state and id, each page behind the one before."""
    refused = [
        quarantined([UNKNOWN, RANGE][n % 2], device=["probe-s1", "probe-s2"][n // 5])
        for n in range(10)
    ]
    commit(ledger, Facts(position=1, quarantined=refused), now_ms=NOW)
    request_replay(ledger, QuarantineFilter(id=4))

    def ids(**which: Any) -> list[int]:
        return [row.id for row in list_quarantine(ledger, QuarantineFilter(**which), limit=100)]

    assert ids() == list(range(10, 0, -1))
    assert ids(reason="unknown-metric") == [9, 7, 5, 3, 1]
    assert ids(device="probe-s2", reason="outside-hard-range") == [10, 8, 6]
    assert ids(state="requested") == [4]
    assert ids(device="nobody") == []
    found: list[int] = []
    while page := list_quarantine(
        ledger, QuarantineFilter(), before=found[-1] if found else None, limit=3, payloads=False
    ):
        found += [row.id for row in page]
        assert {row.payload for row in page} == {b""}
    assert found == list(range(10, 0, -1))
    assert get_quarantined(ledger, 11) is None


def test_events_are_numbered_for_ever(ledger: Ledger) -> None:
    """Numbers rise, a reader takes what came after one, and none is used again after deletion."""
    assert events.last_id(ledger) == 0
    for n in range(6):
        apply(ledger, change("firing", f"a{n}", rule=f"rule-{n}"))
    assert [event.id for event in events.since(ledger, 2, 3)] == [3, 4, 5]
    assert events.since(ledger, 6, 3) == []
    assert events.trim(ledger, keep=1) == 5
    assert events.last_id(ledger) == 6
    with ledger.begin() as connection:
        connection.execute(events_table.delete())
    apply(ledger, change("firing", "a6", rule="rule-6"))
    assert [event.id for event in events.since(ledger, 0, 10)] == [7]
    assert events.last_id(ledger) == 7
