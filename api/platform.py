"""What the routes stand on: the ledger as the caller may see it, the series, the clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from api.callers import NOBODY, Caller
from api.in_sight import InSight, Seen
from api.limits import Limits
from api.problems import ProblemError, invalid, not_found
from api.rules import Rule
from reports.rules import Rules as ReportRules
from storage.ledger.inventory import DeviceRow, get_device, get_devices, get_site
from storage.ledger.loops import Loop
from storage.ledger.migrations import Ledger
from storage.series.store import SeriesStore


@dataclass(frozen=True)
class Platform:
    """stale_after_ms: age, in platform time, from which on a heartbeat counts as missing.

    loops: what of ingest runs, and whether it moves. speed: of platform time. disks: directories
    that the platform writes to. report_rules: what reports are judged by. caller: for whom the
    ledger is limited to what they see. limits: what they may ask for. in_sight: what of sites and
    devices that is.
    """

    ledger: Ledger
    series: SeriesStore
    now_ms: Callable[[], int]
    stale_after_ms: float
    loops: Callable[[], list[Loop]]
    speed: float
    report_rules: ReportRules
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
    if rule.scoping == "asked":
        await run_in_threadpool(_check_asked, request, platform.ledger, caller)
    return replace(platform, ledger=ledger, caller=caller, limits=request.state.limits)


def _check_asked(request: Request, ledger: Ledger, caller: Caller) -> None:
    """Refuse a question about more than the caller sees: it names a site of theirs, or less."""
    asked = request.query_params
    for site in asked.getlist("site"):
        if get_site(ledger.seen_by(caller.sight), site) is None:
            raise not_found("site", site)
    if "site" in asked:
        return
    for name, allowed in (("province", caller.provinces), ("agency", caller.agencies)):
        named = asked.getlist(name)
        if allowed is not None and not (named and allowed.issuperset(named)):
            text = f"your key sees a part of the country: ask with {name}, one of"
            raise ProblemError(403, f"{text} {', '.join(sorted(allowed)) or 'none'}")


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
