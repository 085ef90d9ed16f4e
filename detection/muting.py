"""Muting: whether anybody is told of a change of an alert. It never touches the alert itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

from detection.alerts import AlertChange
from detection.findings import PLATFORM
from devices.registry import Device, Site

Reason = Literal["not-public", "backfilled", "maintenance", "silenced", "part-of-incident"]


ReachType = Literal[
    "country", "province", "district", "site", "device", "provider", "agency", "feeder", "rule"
]


class Reach(NamedTuple):
    """What a window is about. id: of a district "LA-LP/xieng-ngeun"; of the country ""."""

    type: ReachType
    id: str


COUNTRY = Reach("country", "")


class Excluded(NamedTuple):
    """A time that does not count, [start_ms, end_ms), at some sites; sites None: at every one."""

    window: str
    start_ms: int
    end_ms: int
    sites: tuple[str, ...] | None


class Window(NamedTuple):
    """A time in which nobody is told of what happens within a scope: [start_ms, end_ms).

    maintenance: work was announced before it began. silence: somebody does not want to be told.
    """

    window: str
    kind: Literal["maintenance", "silence"]
    scope: Reach
    start_ms: int
    end_ms: int
    author: str
    reason: str


def may_notify(
    change: AlertChange,
    windows: Iterable[Window],
    now_ms: int,
    *,
    scopes: Collection[Reach],
) -> Reason | None:
    """Why nobody is told of a change; None where it is to be told.

    scopes: where the alert is, see `scopes_of`. Of what is more than information its incident
    tells, which is opened once it is known what failed with it: forty sites behind one cut cable
    are one message. No window is about what govsense says of itself. A pure function: asked again
    with the same arguments, it answers the same.
    """
    if change.state not in ("firing", "resolved"):
        return "not-public"
    if change.backfilled:
        return "backfilled"
    around = set() if change.device == PLATFORM else {*scopes, Reach("rule", change.rule)}
    open_now = {w.kind for w in windows if w.start_ms <= now_ms < w.end_ms and w.scope in around}
    if "maintenance" in open_now:
        return "maintenance"
    if "silence" in open_now:
        return "silenced"
    return None if change.severity == "info" else "part-of-incident"


def scopes_of(device: Device, site: Site) -> frozenset[Reach]:
    """Every scope that a device at a site lies in."""
    uplink = site.uplinks[min(device.uplink, len(site.uplinks)) - 1]
    return frozenset(
        {Reach("device", device.device), Reach("provider", uplink.provider), *_around(site)}
    )


def planned_work(windows: Iterable[Window], sites: Mapping[str, Site]) -> list[Excluded]:
    """What maintenance leaves out of the account of which sites, in order of its windows.

    That of a device or a rule leaves out nothing, and that of a provider only the sites that have
    no uplink of another one: the rest is expected to be reached all the time.
    """
    excluded = []
    for window in windows:
        if window.kind != "maintenance":
            continue
        if window.scope == COUNTRY:
            excluded.append(Excluded(window.window, window.start_ms, window.end_ms, None))
            continue
        inside = tuple(sorted(name for name, site in sites.items() if _lies_in(site, window.scope)))
        if inside:
            excluded.append(Excluded(window.window, window.start_ms, window.end_ms, inside))
    return excluded


def _lies_in(site: Site, scope: Reach) -> bool:
    if scope.type == "provider":
        return {uplink.provider for uplink in site.uplinks} == {scope.id}
    return scope in _around(site)


def _around(site: Site) -> set[Reach]:
    scopes = {
        COUNTRY,
        Reach("site", site.site),
        Reach("district", f"{site.province}/{site.district}"),
        Reach("province", site.province),
        Reach("agency", site.agency),
    }
    return scopes | ({Reach("feeder", site.feeder)} if site.feeder else set())
