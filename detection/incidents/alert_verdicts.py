"""The cause of what alerts tell together: of one device, of one site, of one group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from detection.incidents.causes import Reason, Verdict
from detection.incidents.changes import Cause
from detection.incidents.signs import Sign

UNSURE: dict[Cause, float] = {
    "unknown": 0.3, "sensor": 0.7, "facility": 0.6, "congestion": 0.6, "provider": 0.5,
}  # fmt: skip
SURE = 0.8  # of the other causes: their rules name the cause
# Of several causes in the alerts of one site, the one that brings the others about.
STRONGEST: tuple[Cause, ...] = ("power", "blocked", "rain-fade", "radio")
# What a full queue lengthens. The shortest round trip stays: it is the packet that found it empty.
QUEUED = ("_rtt_p50_ms", "_rtt_p95_ms", "_jitter_ms", "http_total_ms")
NEAR = ("gw_", "isp_", "nat_")  # what lies on the way within the country
# The shortest round trip rose with the others: no queue does that.
LONGER_WAY, SHORTEST = "route-change", "_rtt_min_ms"
# Rules that judge many metrics: what they find abroad alone may come from anywhere.
GENERAL = ("limits", "shift", "noise", "drift", "stuck")


class Hint(NamedTuple):
    """An alert too small for an incident that may still tell of a cause."""

    alert: str
    rule: str
    cause: Cause
    onset_ms: int
    ended_ms: int | None
    metric: str = ""

    @property
    def is_of_way(self) -> bool:
        """It says that the way has another length."""
        return self.rule == LONGER_WAY or (self.rule == "shift" and self.metric.endswith(SHORTEST))


def verdict_of_alerts(signs: Sequence[Sign], hints: Iterable[Hint], *, group: bool) -> Verdict:
    """The cause that alerts of one site, or of one kind at the sites of a group, speak for."""
    alerts = [sign for sign in signs if sign.alert is not None]
    first = alerts[0]
    assert first.alert is not None
    reason = Reason("alerts", {"n": len(alerts), "first": first.alert.rule})
    if group:
        return Verdict(first.cause, SURE, (reason,))
    cause = _connectivity(alerts, hints) if _is_connectivity(first) else _named(alerts).cause
    return Verdict(cause, UNSURE.get(cause, SURE), (reason,))


def _named(alerts: Sequence[Sign]) -> Sign:
    """The first alert whose rule says more than that something is unusual, else the first that
    tells a cause at all."""
    ranks = [(sign.is_of_habits, sign.cause == "unknown") for sign in alerts]
    return alerts[ranks.index(min(ranks))]


def _is_connectivity(sign: Sign) -> bool:
    return sign.alert is not None and sign.alert.nature == "connectivity"


def _connectivity(alerts: Sequence[Sign], hints: Iterable[Hint]) -> Cause:
    """What a site's link suffers from; unknown where the tiers do not tell."""
    start_ms = min(sign.onset_ms for sign in alerts)
    hints = [h for h in hints if h.ended_ms is None or h.ended_ms >= start_ms]
    longer_way = any(hint.is_of_way for hint in hints)
    if not longer_way and any(_tells_waiting(sign) for sign in alerts):
        alerts = [sign for sign in alerts if not _tells_loss(sign)]  # a full queue loses packets
    causes = {sign.cause for sign in alerts} | {hint.cause for hint in hints}
    for cause in STRONGEST:
        if cause in causes:
            return cause
    metrics = {sign.alert.metric for sign in alerts if sign.alert}
    near = any(metric.startswith(NEAR) for metric in metrics)
    named = {sign.cause for sign in alerts if _is_named(sign, near=near)} - {"unknown"}
    if len(named) == 1:
        return named.pop()
    if near:
        queued = all(metric.endswith(QUEUED) for metric in metrics) and not named
        if queued and longer_way:
            return "provider"
        return "congestion" if queued else "unknown"
    return "dns" if causes == {"dns"} else "unknown"


def _tells_waiting(sign: Sign) -> bool:
    """Packets wait longer than usual before they have left the country."""
    assert sign.alert is not None
    metric = sign.alert.metric
    return metric.startswith(NEAR) and metric.endswith("_rtt_p50_ms")


def _tells_loss(sign: Sign) -> bool:
    assert sign.alert is not None
    return sign.alert.metric.endswith("_loss_pct")


def _is_named(sign: Sign, *, near: bool) -> bool:
    """Whether the rule, or a loss of everything abroad alone, says the cause by itself."""
    assert sign.alert is not None
    abroad = sign.alert.metric == "int_loss_pct" and not near
    return sign.alert.rule not in GENERAL or abroad
