"""/live: whether every loop of this deployment moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api.documentation import documented
from api.feed import Feed
from api.platform import Platform, PlatformNow
from api.problems import ProblemError
from api.times import EXAMPLE, TimeOut, iso
from storage.ledger.loops import Loop

router = APIRouter(tags=["operation"])


class LoopOut(BaseModel):
    """One loop; last_moved: in platform time."""

    name: str
    moves: bool
    last_moved: TimeOut


class Live(BaseModel):
    """All loops move."""

    now: TimeOut
    loops: list[LoopOut]


LIVE_EXAMPLE = {
    "now": EXAMPLE,
    "loops": [
        {"name": name, "moves": True, "last_moved": EXAMPLE}
        for name in ("receiver", "processor", "feed")
    ],
}


@router.get("/live", response_model=Live, responses=documented(LIVE_EXAMPLE))
def live(request: Request, platform: PlatformNow) -> dict[str, Any]:
    """Whether receiver, processor, drainer and live feed move; 503 with `loops` when one does not.

    A loop that waits for a broker or database that is away moves; one that never ran is not listed.
    """
    loops = list(_loops(platform, request.app.state.feed))
    answer = {
        "now": iso(platform.now_ms()),
        "loops": [
            {"name": one.name, "moves": not one.stands_still, "last_moved": iso(one.since_ms)}
            for one in loops
        ],
    }
    still = [
        f"the {one.name} stands still since {iso(one.since_ms)}"
        for one in loops
        if one.stands_still
    ]
    if still:
        raise ProblemError(503, "; ".join(still), extra=answer, headers={"Retry-After": "2"})
    return answer


def _loops(platform: Platform, feed: Feed) -> Iterator[Loop]:
    yield from platform.loops()
    silent_s = feed.silent_s()
    yield Loop("feed", round(platform.now_ms() - silent_s * 1000 * platform.speed), silent_s)
