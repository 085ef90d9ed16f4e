"""The alert book: findings become alerts, at most one open per device, metric and rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

from detection.findings import Finding, Nature, Severity
from detection.texts import explain

State = Literal["pending", "firing", "resolved", "dropped"]
Key = tuple[str, str, str]
Episode = tuple[Finding, Finding]  # that a rule fired, and that it was over
MOST_ENDED = 64  # of a key that are remembered


class AlertChange(NamedTuple):
    """An alert as it is after one change of state.

    dropped: it was pending and never fired. event_ms: when it happened; at_ms: when the platform
    knew; in `resolved` and `dropped` both are those of the end. expected: lowest and highest value
    that would not have been a finding. incident: of which it is a part, None while of none.
    backfilled: readings that came late opened and closed it in the past; nobody is told.
    """

    alert: str
    state: State
    device: str
    site: str
    metric: str  # "" for a rule on the device as a whole
    rule: str
    nature: Nature
    severity: Severity
    event_ms: int
    at_ms: int
    value: float | None
    expected: tuple[float, float] | None
    text_en: str
    text_lo: str
    incident: str | None = None
    backfilled: bool = False


class Ended(NamedTuple):
    """An alert that fired and is over."""

    alert: str
    onset_ms: int
    end_ms: int


class AlertBook:
    """Every alert that is pending or firing, and the last ones of each key that are over."""

    def __init__(self) -> None:
        self._open: dict[Key, AlertChange] = {}
        self._ended: dict[Key, list[Ended]] = {}

    def apply(
        self, findings: Iterable[Finding], now_ms: int, site_of: Callable[[str], str]
    ) -> list[AlertChange]:
        """What the findings change, in their order; those that change nothing are left out.

        now_ms: when the platform knew. site_of: site id of a device id.
        """
        changes = []
        for finding in findings:
            change = self._change(finding, now_ms, site_of)
            if change is not None:
                changes.append(change)
        return changes

    def correct(
        self, episodes: Iterable[Episode], now_ms: int, site_of: Callable[[str], str]
    ) -> list[AlertChange]:
        """Alerts that late readings open and close in the past: two changes each.

        An episode of which an alert told when it happened is left out.
        """
        changes = []
        for firing, clear in episodes:
            key = (firing.device, firing.metric, firing.rule)
            if not self._told_of(key, firing.onset_ms, clear.at_ms):
                opened = _change_of(firing, None, self._new_id(key, firing), now_ms, site_of)
                opened = opened._replace(state="firing", backfilled=True)
                closed = _change_of(clear, opened, opened.alert, now_ms, site_of)
                changes += [opened, closed._replace(state="resolved")]
        return changes

    def attach(self, incident_of: Mapping[str, str]) -> dict[str, str]:
        """Note of which incidents open alerts are parts, by alert; those for which that is new."""
        moved = {}
        for key, alert in self._open.items():
            incident = incident_of.get(alert.alert)
            if incident is not None and incident != alert.incident:
                self._open[key] = alert._replace(incident=incident)
                moved[alert.alert] = incident
        return moved

    def forget_before(self, before_ms: int) -> None:
        """Forget alerts that were over before; late readings of that time do not come any more."""
        kept = {k: [e for e in some if e.end_ms >= before_ms] for k, some in self._ended.items()}
        self._ended = {key: some for key, some in kept.items() if some}

    def open_alerts(self) -> list[AlertChange]:
        """The last change of every alert that is pending or firing, in order of opening."""
        return list(self._open.values())

    def snapshot(self) -> bytes:
        """The book as bytes for `restore`."""
        ended = [(*key, *one) for key, some in self._ended.items() for one in some]
        return json.dumps([self.open_alerts(), ended], ensure_ascii=False).encode()

    def restore(self, state: bytes) -> None:
        """Be the book of a snapshot."""
        opened, ended = json.loads(state)
        self.hold(map(_from_json, opened))
        self._ended = {}
        for device, metric, rule, *rest in ended:
            self._ended.setdefault((device, metric, rule), []).append(Ended(*rest))

    def hold(self, alerts: Iterable[AlertChange]) -> None:
        """Have exactly these alerts open, pending or firing."""
        self._open = {(a.device, a.metric, a.rule): a for a in alerts}

    def _change(
        self, finding: Finding, now_ms: int, site_of: Callable[[str], str]
    ) -> AlertChange | None:
        key = (finding.device, finding.metric, finding.rule)
        before = self._open.get(key)
        state = _next_state(before, finding)
        if state is None:
            return None
        alert = before.alert if before else self._new_id(key, finding)
        change = _change_of(finding, before, alert, now_ms, site_of)._replace(state=state)
        if finding.phase != "clear":
            self._open[key] = change
            return change
        del self._open[key]
        if before and state == "resolved":
            over = self._ended.setdefault(key, [])
            over.append(Ended(alert, before.event_ms, finding.at_ms))
            del over[:-MOST_ENDED]
        return change

    def _new_id(self, key: Key, finding: Finding) -> str:
        """An id that was never used, not even where a rule finds the same onset once more."""
        alert = alert_id(key, finding.onset_ms)
        for ended in reversed(self._ended.get(key, [])):
            if ended.onset_ms == finding.onset_ms:
                return alert_id((*key, ended.alert), finding.onset_ms)
        return alert

    def _told_of(self, key: Key, onset_ms: int, end_ms: int) -> bool:
        opened = self._open.get(key)
        if opened is not None and end_ms >= opened.event_ms:
            return True
        over = self._ended.get(key, [])
        return any(onset_ms <= one.end_ms and end_ms >= one.onset_ms for one in over)


def _change_of(
    finding: Finding,
    before: AlertChange | None,
    alert: str,
    now_ms: int,
    site_of: Callable[[str], str],
) -> AlertChange:
    """An alert after a finding; its state is for the caller to say."""
    onset_ms = before.event_ms if before else finding.onset_ms
    text_en, text_lo = explain(finding)
    return AlertChange(
        alert=alert,
        state="pending",
        device=finding.device,
        site=before.site if before else site_of(finding.device),
        metric=finding.metric,
        rule=finding.rule,
        nature=finding.nature,
        severity=finding.severity,
        event_ms=finding.at_ms if finding.phase == "clear" else onset_ms,
        at_ms=now_ms,
        value=finding.value,
        expected=_readable(finding.expected),
        text_en=text_en,
        text_lo=text_lo,
        incident=before.incident if before else None,
        backfilled=before.backfilled if before else False,
    )


def _readable(expected: tuple[float, float] | None) -> tuple[float, float] | None:
    """To nine digits, enough for any counter: 11.1, not 11.100000000000001."""
    if expected is None:
        return None
    low, high = (float(f"{bound:.9g}") for bound in expected)
    return low, high


def alert_id(key: tuple[str, ...], onset_ms: int) -> str:
    """The id of the alert that began at `onset_ms`: the same wherever and whenever it is found."""
    name = "\0".join((*key, str(onset_ms)))
    return "a" + hashlib.blake2b(name.encode(), digest_size=6).hexdigest()


def _next_state(before: AlertChange | None, finding: Finding) -> State | None:
    if before is None:
        return None if finding.phase == "clear" else finding.phase
    if finding.phase == "clear":
        return "resolved" if before.state == "firing" else "dropped"
    if finding.phase == "firing" and before.state == "pending":
        return "firing"
    return None


def _from_json(fields: list[object]) -> AlertChange:
    change = AlertChange(*fields)  # type: ignore[arg-type]  # written by snapshot()
    if change.expected is None:
        return change
    low, high = change.expected
    return change._replace(expected=(low, high))
