"""What the routes stand on: the ledger, the series, the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from api.problems import invalid, not_found
from reports.rules import Rules
from storage.ledger.inventory import DeviceRow, get_device, get_devices
from storage.ledger.loops import Loop
from storage.ledger.migrations import Ledger
from storage.series.store import SeriesStore


@dataclass(frozen=True)
class Platform:
    """stale_after_ms: age, in platform time, from which on a heartbeat counts as missing.

    loops: what of ingest runs, and whether it moves. speed: of platform time. disks: directories
    that the platform writes to. rules: what reports are judged by.
    """

    ledger: Ledger
    series: SeriesStore
    now_ms: Callable[[], int]
    stale_after_ms: float
    loops: Callable[[], list[Loop]]
    speed: float
    rules: Rules
    disks: tuple[Path, ...] = ()


async def _platform(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


PlatformNow = Annotated[Platform, Depends(_platform)]


def find_devices(platform: Platform, names: Sequence[str]) -> list[DeviceRow]:
    """Registered devices, in order of id; a 422 where one is not registered."""
    rows = get_devices(platform.ledger, names, now_ms=platform.now_ms())
    for name in sorted(set(names) - {row.device for row in rows}):
        raise invalid("device", "is not registered", got=name, allowed="an id of GET /devices")
    return rows


def find_device(platform: Platform, device: str) -> DeviceRow:
    """A registered device; a 404 for any other."""
    row = get_device(platform.ledger, device, now_ms=platform.now_ms())
    if row is None:
        raise not_found("device", device)
    return row
