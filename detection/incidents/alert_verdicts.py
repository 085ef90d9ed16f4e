"""The cause of what alerts tell together: of one device, of one site, of one group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from detection.alerts import AlertChange
from detection.incidents.causes import FADE_LONGEST_MS, Facts, Reason, Verdict
from detection.incidents.changes import Cause
from detection.incidents.groups import GroupType
from detection.incidents.signs import Sign

UNSURE: dict[Cause, float] = {
    "unknown": 0.3, "sensor": 0.7, "facility": 0.6, "congestion": 0.6, "provider": 0.5,
}  # fmt: skip
SURE = 0.8  # of the other causes: their rules name the cause
# Of several causes in the alerts of one site, the one that brings the others about.
STRONGEST: tuple[Cause, ...] = ("power", "blocked", "rain-fade", "radio")
# What a full queue lengthens. The shortest round trip stays: it is the packet that found it empty.
QUEUED = ("_rtt_p50_ms", "_rtt_p95_ms", "_jitter_ms", "dns_ms", "http_total_ms")
OF_PROVIDER: tuple[GroupType, ...] = ("provider", "uplink", "link-provider")
NEAR = ("gw_", "isp_", "nat_")  # what lies on the way within the country
# The shortest round trip rose with the others: no queue does that.
LONGER_WAY, SHORTEST = "route-change", "_rtt_min_ms"
# Rules that judge many metrics, or what many causes bring about: what they find abroad alone may
# come from anywhere.
GENERAL = ("limits", "shift", "noise", "drift", "stuck", "slow-trips")
# A voltage somewhat off: a supply that is weak, or a meter that reads a few percent wrong.
MILD_MAINS = frozenset(("mains-low", "mains-high"))
# A voltage far off is the supply, unless it is so for longer than a day's load.
DEEP_MAINS = MILD_MAINS | {"mains-sag", "mains-surge"}
DEEP_LONGEST_MS = 6 * 3_600_000
# Faster than a room, a tank or a fridge can change: the sensor, whatever else it seems to find.
BEYOND_NATURE = ("rate", "impossible")
# Water becomes turbid within hours and unevenly; the lens of its sensor fouls over days.
TURBID, UNEVEN = "water-turbid", ("shift", "noise")
# A dry pipe and a dead sensor both read zero; a full tank and a sensor at its end both stand still.
TWO_WAYS = ("zero", "stuck")


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


def verdict_of_alerts(signs: Sequence[Sign], hints: Iterable[Hint]) -> Verdict:
    """The cause that alerts of one site speak for."""
    alerts = [sign for sign in signs if sign.alert is not None]
    first = alerts[0]
    assert first.alert is not None
    reason = reason_of_alerts(len(alerts), first.alert)
    if _is_connectivity(first):
        cause = _connectivity(alerts, hints)
        return Verdict(cause, UNSURE.get(cause, SURE), (reason,))
    cause, why = _of_device(alerts)
    reasons = (reason,) if why is None else (reason, Reason(why, {}))
    return Verdict(cause, UNSURE.get(cause, SURE), reasons)


def verdict_of_group(
    group: GroupType,
    main: Sequence[Sign],
    signs: Sequence[Sign],
    hints: Mapping[str, Mapping[str, Hint]],
) -> Verdict:
    """The cause that alerts of one kind at the sites of a group speak for: what brought them
    together, unless most of the sites, by all that they say (`signs`), speak for one other.

    What is slow or lossy within the country already is no trouble abroad: of a provider's sites
    it is the provider.
    """
    alerts = [sign for sign in main if sign.alert is not None]
    first = alerts[0]
    assert first.alert is not None
    reason = reason_of_alerts(len(alerts), first.alert)
    if not _is_connectivity(first):
        return Verdict(first.cause, SURE, (reason,))
    sites = {sign.site for sign in alerts}
    votes = Counter(
        _connectivity(own, hints.get(site, {}).values())
        for site in sites
        if (own := [s for s in signs if s.site == site and _is_connectivity(s)])
    )
    cause, n = votes.most_common(1)[0]
    suffering = {sign.site for sign in signs if _is_near(sign)}
    if first.cause == "international" and cause == "unknown" and 2 * len(suffering) > len(sites):
        cause = "provider" if group in OF_PROVIDER else "unknown"
        return Verdict(cause, UNSURE[cause], (reason,))
    if cause in ("unknown", first.cause) or 2 * n <= len(sites):
        return Verdict(first.cause, SURE, (reason,))
    return Verdict(cause, UNSURE.get(cause, SURE), (reason,))


def reason_of_alerts(n: int, first: AlertChange) -> Reason:
    """That n alerts speak for a cause, and what the first one is about."""
    facts: Facts = {"n": n, "first": first.rule}
    if not first.metric:
        return Reason("alerts-of-device", facts)
    return Reason("alerts", {**facts, "metric": first.metric})


def _of_device(alerts: Sequence[Sign]) -> tuple[Cause, str | None]:
    """The cause of what sensors found, and the text that says why, where their rules do not."""
    named = _named(alerts)
    if _is_one_meter(alerts):
        return "unknown", "one-meter"
    rules = _rules_on(named, alerts)
    if TURBID in rules and not any(sign.alert and sign.alert.rule in UNEVEN for sign in alerts):
        return "unknown", "crept-up"
    if len({sign.cause for sign in rules.values()} & {"sensor", "facility"}) < 2:
        return named.cause, None
    if any(rule in BEYOND_NATURE for rule in rules):
        return "sensor", "beyond-nature"
    if any(rule in TWO_WAYS for rule in rules):
        return "unknown", "two-ways"
    return named.cause, None


def _rules_on(named: Sign, alerts: Sequence[Sign]) -> dict[str, Sign]:
    """What rules with a name say of the metric that one alert is about, by rule."""
    assert named.alert is not None
    about = (named.alert.device, named.alert.metric)
    return {
        sign.alert.rule: sign
        for sign in alerts
        if sign.alert and not sign.is_of_habits and (sign.alert.device, sign.alert.metric) == about
    }


def _is_one_meter(alerts: Sequence[Sign]) -> bool:
    """One device, and nothing else, says that its mains voltage is a little off, or for long."""
    known = {(sign.alert.device, sign.alert.metric) for sign in alerts if sign.alert}
    by_rule = [sign for sign in alerts if sign.alert and not sign.is_of_habits]
    rules = {sign.alert.rule for sign in by_rule if sign.alert}
    if len(known) != 1 or not rules:
        return False
    return rules <= MILD_MAINS or (rules <= DEEP_MAINS and any(map(_outlasts_load, by_rule)))


def _outlasts_load(sign: Sign) -> bool:
    return sign.ended_ms is not None and sign.ended_ms - sign.onset_ms > DEEP_LONGEST_MS


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
    faded = any(hint.cause == "rain-fade" for hint in hints)
    deep = any(_tells_loss(sign) and sign.alert.rule == "limits" for sign in alerts if sign.alert)
    if not (faded or deep) and any(_outlasts_rain(sign) for sign in alerts):
        return "unknown"
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
        if any(_tells_shorter(sign) for sign in alerts):
            return "unknown"  # neither a queue nor a longer way
        if queued and longer_way:
            return "provider"
        return "congestion" if queued else "unknown"
    return "dns" if causes == {"dns"} else "unknown"


def _is_near(sign: Sign) -> bool:
    """An alert on the way to what lies within the country."""
    return sign.alert is not None and sign.alert.metric.startswith(NEAR)


def _tells_waiting(sign: Sign) -> bool:
    """Packets wait longer than usual before they have left the country."""
    assert sign.alert is not None
    metric = sign.alert.metric
    return metric.startswith(NEAR) and metric.endswith("_rtt_p50_ms")


def _tells_loss(sign: Sign) -> bool:
    assert sign.alert is not None
    return sign.alert.metric.endswith("_loss_pct")


def _tells_shorter(sign: Sign) -> bool:
    """Less than was expected: of a round trip, a shorter one."""
    assert sign.alert is not None
    value, expected = sign.alert.value, sign.alert.expected
    return value is not None and expected is not None and value < expected[0]


def _outlasts_rain(sign: Sign) -> bool:
    """Packets were lost for longer than any rain, and only the loss speaks of rain."""
    assert sign.alert is not None
    lasted_ms = 0 if sign.ended_ms is None else sign.ended_ms - sign.onset_ms
    return sign.cause == "rain-fade" and _tells_loss(sign) and lasted_ms > FADE_LONGEST_MS


def _is_named(sign: Sign, *, near: bool) -> bool:
    """Whether the rule, or a loss of everything abroad alone, says the cause by itself."""
    assert sign.alert is not None
    abroad = sign.alert.metric == "int_loss_pct" and not near
    return sign.alert.rule not in GENERAL or abroad
