"""/health and /ready: whether this process lives, and whether the platform is whole."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from api.documentation import documented
from api.platform import Platform, PlatformNow
from api.problems import ProblemError
from api.times import EXAMPLE, TimeOut, iso
from storage.ledger import stats

router = APIRouter(tags=["operation"])

LEAST_FREE_BYTES = 4 * 2**20  # below this the journal takes nothing any more


class Health(BaseModel):
    """This process answers."""

    status: Literal["ok"]


class Check(NamedTuple):
    """One part of the platform; reason: why it is not well."""

    name: str
    ok: bool
    reason: str | None


class CheckOut(BaseModel):
    """One part of the platform; reason: why it is not well."""

    name: str
    ok: bool
    reason: str | None


class Ready(BaseModel):
    """All parts are well."""

    now: TimeOut
    checks: list[CheckOut]


READY_EXAMPLE = {
    "now": EXAMPLE,
    "checks": [{"name": name, "ok": True, "reason": None} for name in ("ledger", "series")],
}


@router.get("/health", response_model=Health, responses=documented({"status": "ok"}))
async def health() -> dict[str, str]:
    """This process lives. Says nothing about the rest of the platform."""
    return {"status": "ok"}


@router.get("/ready", response_model=Ready, responses=documented(READY_EXAMPLE))
def ready(platform: PlatformNow) -> dict[str, Any]:
    """Whether ledger, series, disk and ingest are well; 503 with `checks` when one is not."""
    checks = list(_checks(platform))
    answer = {
        "now": iso(platform.now_ms()),
        "checks": [check._asdict() for check in checks],
    }
    failed = [f"{check.name}: {check.reason}" for check in checks if not check.ok]
    if failed:
        detail = "; ".join(failed)
        raise ProblemError(503, detail, extra=answer, headers={"Retry-After": "2"})
    return answer


def _checks(platform: Platform) -> Iterator[Check]:
    try:
        beats = stats.read(platform.ledger)
    except SQLAlchemyError as exc:
        yield Check("ledger", False, f"does not answer ({type(exc).__name__})")
        yield Check("ingest", False, "unknown, since the ledger does not answer")
    else:
        yield Check("ledger", True, None)
        yield _ingest(platform, beats)
    yield from (_disk(path) for path in platform.disks)
    try:
        platform.series.applied()
    except sqlite3.Error as exc:
        yield Check("series", False, f"does not answer: {exc}")
    else:
        yield Check("series", True, None)


def _disk(path: Path) -> Check:
    free = shutil.disk_usage(path).free
    if free < LEAST_FREE_BYTES:
        return Check("disk", False, f"{free >> 10} KiB are left for the platform: make space")
    return Check("disk", True, None)


def _ingest(platform: Platform, beats: dict[str, stats.Beat]) -> Check:
    beat = beats.get("ingest")
    if beat is None:
        return Check("ingest", False, "has never run")
    age_ms = platform.now_ms() - beat.at_ms
    if age_ms > platform.stale_after_ms:
        return Check("ingest", False, f"gave its last sign of life at {iso(beat.at_ms)}")
    if beat.data.get("intake_full"):
        return Check("ingest", False, "has stopped intake: its journal has no room")
    if not beat.data.get("broker_connected"):
        return Check("ingest", False, "has no connection to the broker")
    return Check("ingest", True, None)
