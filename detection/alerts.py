"""The alert book: findings become alerts, at most one open per device, metric and rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from detection.findings import Finding, Nature, Severity
from detection.texts import explain

State = Literal["pending", "firing", "resolved", "dropped"]
Key = tuple[str, str, str]


class AlertChange(NamedTuple):
    """An alert as it is after one change of state.

    dropped: it was pending and never fired. event_ms: when it happened; at_ms: when the platform
    knew; in `resolved` and `dropped` both are those of the end. expected: lowest and highest value
    that would not have been a finding.
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


class AlertBook:
    """Every alert that is pending or firing."""

    def __init__(self) -> None:
        self._open: dict[Key, AlertChange] = {}

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

    def open_alerts(self) -> list[AlertChange]:
        """The last change of every alert that is pending or firing, in order of opening."""
        return list(self._open.values())

    def snapshot(self) -> bytes:
        """The open alerts as bytes for `restore`."""
        return json.dumps(self.open_alerts(), ensure_ascii=False).encode()

    def restore(self, state: bytes) -> None:
        """Hold exactly the alerts of a snapshot."""
        self.hold(_from_json(fields) for fields in json.loads(state))

    def hold(self, alerts: Iterable[AlertChange]) -> None:
        """Hold exactly these alerts, pending or firing."""
        self._open = {(a.device, a.metric, a.rule): a for a in alerts}

    def _change(
        self, finding: Finding, now_ms: int, site_of: Callable[[str], str]
    ) -> AlertChange | None:
        key = (finding.device, finding.metric, finding.rule)
        before = self._open.get(key)
        state = _next_state(before, finding)
        if state is None:
            return None
        onset_ms = before.event_ms if before else finding.onset_ms
        text_en, text_lo = explain(finding)
        change = AlertChange(
            alert=before.alert if before else alert_id(key, finding.onset_ms),
            state=state,
            device=finding.device,
            site=before.site if before else site_of(finding.device),
            metric=finding.metric,
            rule=finding.rule,
            nature=finding.nature,
            severity=finding.severity,
            event_ms=finding.at_ms if finding.phase == "clear" else onset_ms,
            at_ms=now_ms,
            value=finding.value,
            expected=finding.expected,
            text_en=text_en,
            text_lo=text_lo,
        )
        if finding.phase == "clear":
            del self._open[key]
        else:
            self._open[key] = change
        return change


def alert_id(key: Key, onset_ms: int) -> str:
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
