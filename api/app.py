"""The application: every route under /api/v1, /public/v1, /metrics, /live, and the page at /."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from fastapi import Depends, FastAPI
from starlette.routing import Route

from api import problems
from api.callers import ROLES, Role
from api.compression import Compression
from api.credentials import Credentials
from api.documentation import complete
from api.limits import Limits
from api.origins import Origins, origins
from api.parameters import check_parameters
from api.platform import Platform
from api.protection import Protection, host_names
from api.revalidation import Revalidation
from api.rights import Rights, RightsMiddleware
from api.routes import (
    accounting,
    alert_actions,
    alerts,
    audit,
    availability,
    devices,
    enrolment,
    events,
    geography,
    health,
    incident_actions,
    incidents,
    kinds,
    latest,
    live,
    me,
    metrics,
    page,
    public,
    quarantine,
    reports,
    sequences,
    sites,
    stats,
    telemetry,
    windows,
)
from api.rules import Rules
from api.tokens import Issuer, Tokens
from reports.calendars import read_working_hours
from reports.rules import Rules as ReportRules
from storage.ledger.loops import Loop
from storage.ledger.migrations import Ledger
from storage.series.store import SeriesStore

PREFIX = "/api/v1"
STALE_AFTER_MS = 10_000
RESOURCES = (
    health,
    live,
    me,
    audit,
    stats,
    kinds,
    geography,
    sites,
    devices,
    telemetry,
    latest,
    alerts,
    alert_actions,
    incidents,
    incident_actions,
    windows,
    availability,
    reports,
    quarantine,
    enrolment,
    accounting,
    sequences,
    events,
)
DESCRIPTION = """Times are ISO 8601 in UTC; times in parameters need Z or an offset. Errors are RFC
9457 problem details with `errors: [{field, reason, got, allowed}]`. Lists are pages: pass `next`
as `cursor` until it is null. A parameter that a path does not have is an error. Send a key as
`Authorization: Bearer gvs_...`; `govsense keys create` makes one."""


def _machine_ms() -> int:
    return time.time_ns() // 1_000_000


def create_app(
    *,
    ledger: Ledger,
    series: SeriesStore,
    now_ms: Callable[[], int],
    allowed_hosts: str,
    loops: Callable[[], list[Loop]] = list,
    clock_speed: float = 1.0,
    report_rules: ReportRules | None = None,
    disks: tuple[Path, ...] = (),
    issuer: Issuer | None = None,
    limits: Mapping[Role, Limits] | None = None,
    allowed_origins: str = "",
    machine_ms: Callable[[], int] = _machine_ms,
) -> FastAPI:
    """The API over open stores. now_ms: platform time; clock_speed: how fast that runs.

    loops: the loops of ingest, for /live. allowed_hosts, allowed_origins: names by which, and pages
    of other sites from which, browsers may call, comma-separated. report_rules: what reports are
    judged by; None: as the settings say by default. disks: directories that the platform writes
    to, looked at for `ready`. issuer: whose tokens are taken beside keys. limits: of each role.
    machine_ms: time by which keys end. Raises ValueError for a bad origin.
    """
    app = FastAPI(
        title="govsense",
        version=version("govsense"),
        description=DESCRIPTION,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # its pages load scripts from elsewhere, which our policy forbids
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_run_feed,
    )
    app.state.platform = Platform(
        ledger,
        series,
        now_ms,
        STALE_AFTER_MS * clock_speed,
        loops,
        clock_speed,
        report_rules or ReportRules(read_working_hours()),
        disks,
    )
    app.state.feed = events.feed_of(ledger)
    app.state.public = public.counter_of(app.state.platform)
    problems.install(app)
    strict = [Depends(check_parameters)]
    for resource in RESOURCES:
        app.include_router(resource.router, prefix=PREFIX, dependencies=strict)
    app.include_router(metrics.router, dependencies=strict)
    app.include_router(public.router, dependencies=strict)
    app.include_router(live.router, dependencies=strict, include_in_schema=False)
    app.include_router(page.router)
    described = [(PREFIX, route) for resource in RESOURCES for route in resource.router.routes]
    described += [("", route) for router in (metrics, public) for route in router.router.routes]
    hidden = [("", route) for router in (live.router, page.router) for route in router.routes]
    own = [("", route) for route in app.routes if isinstance(route, Route)]
    rules = Rules([*own, *described, *hidden])
    complete(app, described, rules)
    rights = Rights(
        ledger=ledger,
        rules=rules,
        credentials=Credentials(ledger, Tokens(issuer) if issuer else None, machine_ms),
        limits=limits or dict.fromkeys(ROLES, Limits()),
        now_ms=now_ms,
        machine_ms=machine_ms,
    )
    shared = origins(allowed_origins)
    app.add_middleware(Revalidation)
    app.add_middleware(Compression)
    app.add_middleware(RightsMiddleware, rights=rights)  # the last one added runs first
    app.add_middleware(Origins, allowed=shared)
    app.add_middleware(
        Protection,
        allowed_hosts=host_names(allowed_hosts),
        allowed_origins=shared,
        is_route=lambda method, path: rules.find(method, path) is not None,
    )
    return app


@contextlib.asynccontextmanager
async def _run_feed(app: FastAPI) -> AsyncIterator[None]:
    poller = asyncio.create_task(app.state.feed.run())
    yield
    poller.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await poller
