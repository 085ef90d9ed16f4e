"""The judge: when it tells what, and what it goes on from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import msgspec

from devices.catalogue import Catalogue
from ingest.hearing import heard_of
from ingest.intake import Intake
from ingest.journal import Record
from ingest.judge import TICK_MS, Judge, Known, Verdict
from tests.ingest.stores import P0, T0_MS
from tests.path.platform import one_office, reading

START_MS = T0_MS // TICK_MS * TICK_MS
MINUTE_MS = 60_000
STATUS = P0.replace("telemetry", "status")


class Desk:
    """A judge over one office, fed a round of its first probe at a time."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.intake = Intake(one_office(), self.catalogue)
        self.judge = Judge(one_office(), self.catalogue)

    def say(
        self, n: int, topic: str = P0, /, *, after_ms: int = 100, **values: float | None
    ) -> Verdict:
        """The n-th round, a minute after the one before it."""
        at_ms = START_MS + n * MINUTE_MS
        return self.hear(Record(n, at_ms + after_ms, topic, reading(at_ms, n, **values)))

    def hear(self, record: Record) -> Verdict:
        """One message of any content."""
        findings = self.judge.hear(heard_of(self.intake.take([record])))
        return self.judge.conclude(findings, record.received_ms)

    def tick(self, now_ms: int) -> Verdict:
        """Let time pass."""
        return self.judge.conclude(self.judge.tick(now_ms), now_ms)

    def live(self, first: int, last: int, **values: float) -> Iterator[Verdict]:
        """Rounds, and the ticks after each."""
        for n in range(first, last):
            yield self.say(n, after_ms=100, **values)
            now_ms = START_MS + n * MINUTE_MS
            yield from (self.tick(now_ms + ms) for ms in range(TICK_MS, MINUTE_MS, TICK_MS))

    def restart(self) -> None:
        """Go on from a snapshot, as bytes."""
        state = msgspec.msgpack.encode(self.judge.state())
        self.judge = Judge(one_office(), self.catalogue)
        assert self.judge.restore(msgspec.msgpack.decode(state, type=Known))


def fired_and_over(told: Iterable[Verdict]) -> list[tuple[str, str]]:
    """Rules and states of what was told of alerts, but for what is pending."""
    return [(c.rule, c.state) for v in told for c in v.alerts if c.state != "pending"]


def slow(desk: Desk) -> Verdict:
    """What is told of the round with which slow names fire."""
    for n in range(1, 5):
        assert not [c for c in desk.say(n, dns_ms=5000.0).alerts if c.state == "firing"]
    return desk.say(5, dns_ms=5000.0)


def test_an_alert_is_told_at_once_and_its_incident_with_a_tick() -> None:
    """However batches are cut, an incident is looked for at whole ticks; a restart forgets none."""
    desk = Desk()
    verdict = slow(desk)
    [fired] = [c for c in verdict.alerts if c.state == "firing"]
    assert (fired.metric, fired.rule, fired.incident) == ("dns_ms", "limits", None)
    assert not verdict.incidents
    desk.restart()
    told = list(desk.live(6, 20, dns_ms=5000.0))
    [opened] = [c for verdict in told for c in verdict.incidents]
    assert {alert for v in told for alert, i in v.parts.items() if i == opened.incident} == {
        fired.alert
    }


def test_a_sensor_that_says_nothing_in_its_rounds_is_told() -> None:
    """Null is no value and no fault; that it is all that comes is one."""
    desk, fridge = Desk(), P0.replace("p0", "c0")
    for n in range(1, 13):
        desk.say(n, fridge, temperature_c=4.0)
        assert not desk.tick(START_MS + n * MINUTE_MS + TICK_MS).alerts
    desk.say(13, fridge, temperature_c=None)
    assert not desk.tick(START_MS + 13 * MINUTE_MS + TICK_MS).alerts
    desk.say(14, fridge, temperature_c=None)
    [alert] = desk.tick(START_MS + 15 * MINUTE_MS).alerts
    assert (alert.device, alert.metric, alert.rule) == ("c0", "temperature_c", "gap")


def test_a_device_that_nobody_can_read_is_told_and_not_called_dark() -> None:
    """It is in touch: its site is not down, and nothing of it is silent."""
    desk = Desk()
    good = {"nat_sent": 10.0, "nat_rcvd": 10.0}
    told = list(desk.live(0, 60, **good))
    for n in range(60, 120):
        told.append(desk.hear(Record(n, START_MS + n * MINUTE_MS, P0, b'{"v":1,"m":')))
        told.append(desk.tick(START_MS + n * MINUTE_MS + TICK_MS))
    told += desk.live(120, 180, **good)
    alerts = [(c.rule, c.state) for v in told for c in v.alerts if c.state != "pending"]
    assert alerts == [("unreadable", "firing"), ("unreadable", "resolved")]
    assert [c.cause for v in told for c in v.incidents][-1] == "agent"
    assert {b.state for v in told for b in v.bins if b.start_ms > START_MS} == {"UP"}


def test_a_device_that_says_it_reports_less_often_is_waited_for_and_told() -> None:
    """Silence is counted by its own word, also after a restart, until it agrees again."""
    desk = Desk()
    told: list[Verdict] = []

    def born(n: int, interval_s: float) -> None:
        at_ms = START_MS + n * MINUTE_MS
        birth = {"v": 1, "state": "online", "boot": "b", "interval_s": interval_s, "ts": at_ms}
        told.append(desk.hear(Record(n, at_ms, STATUS, json.dumps(birth).encode())))

    def wait(first: int, last: int) -> None:
        told.extend(desk.tick(START_MS + n * MINUTE_MS + TICK_MS) for n in range(first, last))

    born(0, 1200.0)
    for n in range(1, 200, 20):
        told.append(desk.say(n, nat_sent=10.0, nat_rcvd=10.0))
        wait(n, n + 20)
    desk.restart()
    wait(201, 230)
    assert fired_and_over(told) == [("interval", "firing")]
    bins = {b.start_ms: b.state for verdict in told for b in verdict.bins}
    assert {state for at, state in bins.items() if at <= START_MS + 180 * MINUTE_MS} == {"UP"}
    told.clear()
    born(230, 60.0)
    wait(230, 240)
    assert fired_and_over(told) == [("interval", "resolved"), ("silence", "firing")]


def test_a_corrected_registry_ends_the_alert_about_its_interval() -> None:
    """No birth comes for it: the device has said what it says."""
    desk = Desk()
    birth = {"v": 1, "state": "online", "boot": "b", "interval_s": 300.0, "ts": START_MS}
    told = [desk.hear(Record(0, START_MS, STATUS, json.dumps(birth).encode()))]
    told.append(desk.tick(START_MS + MINUTE_MS))
    desk.judge.use(one_office(interval_s=300.0))
    told.append(desk.tick(START_MS + 2 * MINUTE_MS))
    assert fired_and_over(told) == [("interval", "firing"), ("interval", "resolved")]


def test_an_alert_that_is_over_before_the_tick_has_its_incident_told() -> None:
    """Although it is not open any more when the incident is found."""
    desk = Desk()
    [fired] = [c for c in slow(desk).alerts if c.state == "firing"]
    ended = [c.state for n in range(6, 11) for c in desk.say(n, dns_ms=10.0).alerts]
    assert ended == ["resolved"]
    told = list(desk.live(11, 20, dns_ms=10.0))
    assert [list(verdict.parts) for verdict in told if verdict.parts] == [[fired.alert]]


def test_what_is_placed_at_once_waits_for_no_tick() -> None:
    """Where the past is judged again there are no ticks."""
    desk = Desk()
    slow(desk)
    desk.judge.conclude([], START_MS + 5 * MINUTE_MS, place=True)
    for n in range(6, 20):
        assert not desk.say(n, dns_ms=5000.0).incidents
    assert desk.judge.conclude([], START_MS + 20 * MINUTE_MS, place=True).incidents


def test_a_round_that_overtook_another_is_judged_after_it() -> None:
    """Its alert comes with the round that was slower, also after a restart."""
    desk = Desk()
    for n in (1, 2, 3, 5, 6):
        assert not [c for c in desk.say(n, dns_ms=5000.0).alerts if c.state == "firing"]
    desk.restart()
    verdict = desk.say(4, after_ms=2 * MINUTE_MS + 200, dns_ms=5000.0)
    [fired] = [c for c in verdict.alerts if c.state == "firing"]
    assert fired.event_ms == START_MS + MINUTE_MS


def test_rounds_that_wait_for_one_that_is_lost_are_judged_in_time() -> None:
    """When it would be late; their alert is kept, and three in a row begin after what is lost."""
    desk = Desk()
    for n in (1, 2, 3, 5, 6, 7):
        told = desk.say(n, ups_pct=5.0 if n > 2 else 90.0).alerts
        assert "firing" not in [c.state for c in told]
    desk.restart()
    told = [c for now in (8, 9, 10) for c in desk.tick(START_MS + now * MINUTE_MS).alerts]
    assert [c.state for c in told] == ["dropped", "pending"]
    told = list(desk.say(8, ups_pct=5.0).alerts)
    [fired] = [c for c in told if c.state == "firing"]
    assert fired.event_ms == START_MS + 6 * MINUTE_MS


def test_what_waited_and_is_judged_by_time_is_kept_with_it() -> None:
    """The journal would not tell it again."""
    desk = Desk()
    desk.say(1, dns_ms=10.0)
    desk.say(3, dns_ms=10.0)
    for now_ms in range(START_MS + 180_000, START_MS + 6 * MINUTE_MS, TICK_MS):
        desk.tick(now_ms)
    assert not desk.judge.was_moved_by_time
    desk.judge.tick(START_MS + 6 * MINUTE_MS)
    assert desk.judge.was_moved_by_time


def test_a_state_that_cannot_be_used_leaves_a_judge_as_new() -> None:
    """Not one that knows a part of what was."""
    desk = Desk()
    slow(desk)
    known = desk.judge.state()
    for part in ("engine", "connectivity"):
        fresh, used = Judge(one_office(), desk.catalogue), Judge(one_office(), desk.catalogue)
        assert not used.restore(msgspec.structs.replace(known, **{part: b"damaged"}))
        assert used.state() == fresh.state()
