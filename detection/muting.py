"""Muting: whether anybody is told of a change of an alert. It never touches the alert itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal, NamedTuple

from detection.alerts import AlertChange
from detection.incidents.changes import Scope
from devices.registry import Device, Site

Reason = Literal["not-public", "backfilled", "maintenance", "silenced", "part-of-incident"]


class Window(NamedTuple):
    """A time in which nobody is told of what happens within a scope: [start_ms, end_ms).

    maintenance: work was announced before it began. silence: somebody does not want to be told.
    """

    window: str
    kind: Literal["maintenance", "silence"]
    scope: Scope
    start_ms: int
    end_ms: int
    author: str
    reason: str


def may_notify(
    change: AlertChange,
    windows: Iterable[Window],
    now_ms: int,
    *,
    scopes: Collection[Scope],
    muted_by: str | None = None,
) -> Reason | None:
    """Why nobody is told of a change; None where it is to be told.

    scopes: where the alert is, see `scopes_of`. muted_by: the incident that tells of it. A pure
    function: asked again with the same arguments, it answers the same.
    """
    if change.state not in ("firing", "resolved"):
        return "not-public"
    if change.backfilled:
        return "backfilled"
    open_now = {w.kind for w in windows if w.start_ms <= now_ms < w.end_ms and w.scope in scopes}
    if "maintenance" in open_now:
        return "maintenance"
    if "silence" in open_now:
        return "silenced"
    return "part-of-incident" if muted_by is not None else None


def scopes_of(device: Device, site: Site) -> frozenset[Scope]:
    """Every scope that a device at a site lies in."""
    uplink = site.uplinks[min(device.uplink, len(site.uplinks)) - 1]
    scopes = {
        Scope("device", device.device),
        Scope("site", site.site),
        Scope("district", f"{site.province}/{site.district}"),
        Scope("province", site.province),
        Scope("provider", uplink.provider),
        Scope("platform", ""),
    }
    return frozenset(scopes | ({Scope("feeder", site.feeder)} if site.feeder else set()))
