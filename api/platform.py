"""What the routes stand on: the ledger as the caller may see it, the series, the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from api.callers import NOBODY, Caller
from api.in_sight import InSight, Seen
from api.limits import Limits
from api.problems import ProblemError, not_found
from api.rules import Rule
from storage.ledger.inventory import DeviceRow, get_device
from storage.ledger.loops import Loop
from storage.ledger.migrations import Ledger
from storage.series.store import SeriesStore


@dataclass(frozen=True)
class Platform:
    """stale_after_ms: age, in platform time, from which on a heartbeat counts as missing.

    loops: what of ingest runs, and whether it moves. speed: of platform time. disks: directories
    that the platform writes to. caller: for whom the ledger is limited to what they see. limits:
    what they may ask for. in_sight: what of sites and devices that is.
    """

    ledger: Ledger
    series: SeriesStore
    now_ms: Callable[[], int]
    stale_after_ms: float
    loops: Callable[[], list[Loop]]
    speed: float
    disks: tuple[Path, ...] = ()
    caller: Caller = NOBODY
    limits: Limits = field(default_factory=Limits)
    in_sight: InSight = field(default_factory=InSight)

    def seen(self) -> Seen | None:
        """The sites and devices that the caller sees; None: all."""
        return self.in_sight.of(self.ledger, self.caller.sight)


async def _platform(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    rule: Rule | None = request.state.rule
    if rule is None:
        raise ProblemError(403, "nobody may call this: it has no rule in api/rules.py")
    caller: Caller = request.state.caller
    ledger = platform.ledger.seen_by(caller.sight) if rule.scoping == "sites" else platform.ledger
    return replace(platform, ledger=ledger, caller=caller, limits=request.state.limits)


PlatformNow = Annotated[Platform, Depends(_platform)]


def find_device(platform: Platform, device: str) -> DeviceRow:
    """A registered device; a 404 for any other."""
    row = get_device(platform.ledger, device, now_ms=platform.now_ms())
    if row is None:
        raise not_found("device", device)
    return row
