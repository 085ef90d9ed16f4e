"""Whether anybody is told of an alert now, by the windows that are in force."""

from __future__ import annotations

from api.platform import Platform
from detection.muting import COUNTRY, Reach, Reason, Window, may_notify, scopes_of
from devices.registry import Device, Site, Uplink
from storage.ledger.alerts import AlertRow, change_of
from storage.ledger.inventory import DeviceRow, SiteRow, get_device, get_site
from storage.ledger.windows import WindowRow, in_force


def muted_now(platform: Platform, alert: AlertRow) -> Reason | None:
    """Why nobody would be told of an alert at this time; None where they would be."""
    now_ms = platform.now_ms()
    device = get_device(platform.ledger, alert.device, now_ms=now_ms)
    site = get_site(platform.ledger, alert.site) if alert.site else None
    change = change_of(alert)
    if alert.state == "resolved":
        change = change._replace(state="resolved")
    return may_notify(
        change,
        [_window(row) for row in in_force(platform.ledger, now_ms)],
        now_ms,
        scopes=scopes_of(_device(device), _site(site)) if device and site else {COUNTRY},
    )


def _window(row: WindowRow) -> Window:
    reach = Reach(row.scope_type, row.scope_id)  # type: ignore[arg-type]  # as it was taken
    facts = (row.start_ms, row.end_ms, row.author, row.reason)
    return Window(row.window, row.kind, reach, *facts)  # type: ignore[arg-type]


def _device(row: DeviceRow) -> Device:
    return Device(row.device, row.site, row.kind, row.interval_s, row.uplink, row.params)


def _site(row: SiteRow) -> Site:
    return Site(**{**row._asdict(), "uplinks": tuple(Uplink(**one) for one in row.uplinks)})
