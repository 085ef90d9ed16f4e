"""/public/v1/status: how the network of public facilities is, for everybody, without a key."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from api.documentation import documented
from api.platform import Platform
from api.problems import ProblemError
from api.public.board import PERIOD_S, RETRY_S, Board, Posted, UnknownError
from api.public.status import OVER_MS, RECENT_MS, CauseClass, PublicStatus, State, status_of
from api.rate import Buckets, neighbourhood, retry_after
from api.revalidation import matches
from api.times import EXAMPLE, TimeOut
from storage.ledger.public import public_facts

router = APIRouter(prefix="/public/v1", tags=["public"])

PER_S, BURST = 2.0, 60  # of one address
ALL_PER_S, ALL_BURST = 500.0, 1000  # of everybody together
ATOM = "application/atom+xml"


class PublicClass(BaseModel):
    """One class of facilities in a province. Counts are null where they are fewer than three."""

    model_config = ConfigDict(populate_by_name=True)

    site_class: str = Field(alias="class")
    name_en: str
    name_lo: str
    sites: int | None
    reachable: int | None
    in_trouble: int | None
    not_known: int | None


class PublicProvince(BaseModel):
    """A province. too-few: it has fewer than three facilities in all, of which nothing is told."""

    province: str
    name_en: str
    name_lo: str
    state: State
    state_en: str
    state_lo: str
    classes: list[PublicClass]


class PublicIncidentOut(BaseModel):
    """Trouble of several facilities. cause_final: it is certain, not only probable."""

    id: str
    started_at: TimeOut
    changed_at: TimeOut
    cause: CauseClass
    cause_final: bool
    provinces: list[str]
    text_en: str
    text_lo: str


class PublicStatusOut(BaseModel):
    """stale: the figures could not be renewed and are age_s old; else age_s is 0."""

    computed_at: TimeOut
    age_s: int
    stale: bool
    known_until: TimeOut | None
    provinces: list[PublicProvince]
    incidents: list[PublicIncidentOut]


STATUS_EXAMPLE = {
    "computed_at": "2026-10-05T01:33:10.000Z",
    "age_s": 0,
    "stale": False,
    "known_until": EXAMPLE,
    "provinces": [
        {
            "province": "LA-LP",
            "name_en": "Luang Prabang",
            "name_lo": "ຫຼວງພະບາງ",
            "state": "some-trouble",
            "state_en": "some trouble",
            "state_lo": "ຂັດຂ້ອງບາງບ່ອນ",
            "classes": [
                {
                    "class": "office",
                    "name_en": "offices",
                    "name_lo": "ຫ້ອງການ",
                    "sites": 12,
                    "reachable": 8,
                    "in_trouble": 3,
                    "not_known": 1,
                },
                {
                    "class": "water-plant",
                    "name_en": "water plants",
                    "name_lo": "ໂຮງງານນ້ຳປະປາ",
                    "sites": None,
                    "reachable": None,
                    "in_trouble": None,
                    "not_known": None,
                },
            ],
        }
    ],
    "incidents": [
        {
            "id": "urn:uuid:0bdb2b4c-3d4f-5f0e-9d1c-6d5a1d2f7a11",
            "started_at": "2026-10-05T01:26:30.000Z",
            "changed_at": "2026-10-05T01:31:00.000Z",
            "cause": "power",
            "cause_final": False,
            "provinces": ["LA-LP"],
            "text_en": "Facilities in Luang Prabang have trouble since 2026-10-05 08:26"
            " (Vientiane time). Probable cause: a power failure.",
            "text_lo": "ສະຖານທີ່ໃນ ຫຼວງພະບາງ ຂັດຂ້ອງ ຕັ້ງແຕ່ 2026-10-05 08:26 (ເວລາວຽງຈັນ)."
            " ອາດມີສາເຫດຈາກ: ໄຟຟ້າດັບ.",
        }
    ],
}
FEED_EXAMPLE = (
    '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">...</feed>'
)


class Counter:
    """Where the public is served: one board, and how often it may be asked."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._each = Buckets()
        self._all = Buckets(1)

    def admit(self, address: str) -> None:
        """Raise a 429 where this address, or everybody together, asks too often."""
        now_s = time.monotonic()
        who = neighbourhood(address)
        wait_s = self._each.wait_s(who, now_s, per_s=PER_S, burst=BURST)
        wait_s = wait_s or self._all.wait_s("", now_s, per_s=ALL_PER_S, burst=ALL_BURST)
        if wait_s:
            raise ProblemError(
                429,
                f"asked too often: at most {PER_S:g} times a second, {BURST} at once; what is"
                f" told changes every {PERIOD_S} s",
                headers=retry_after(wait_s),
            )


def counter_of(platform: Platform) -> Counter:
    """The counter over a platform's ledger."""

    def compute() -> PublicStatus:
        now_ms = platform.now_ms()
        facts = public_facts(
            platform.ledger,
            bins_from_ms=now_ms - RECENT_MS,
            over_from_ms=now_ms - OVER_MS,
            now_ms=now_ms,
        )
        return status_of(facts, now_ms)

    return Counter(Board(compute))


async def _posted(request: Request) -> Posted:
    counter: Counter = request.app.state.public
    counter.admit(request.client.host if request.client else "")
    try:
        return await counter.board.read()
    except UnknownError as exc:
        retry = {"Retry-After": f"{RETRY_S:g}"}
        raise ProblemError(503, "nothing is known yet: ask again", headers=retry) from exc


PostedNow = Annotated[Posted, Depends(_posted)]
Tags = Annotated[str | None, Header(alias="If-None-Match", max_length=1000)]


@router.get(
    "/status",
    response_model=PublicStatusOut,
    responses=documented(STATUS_EXAMPLE, 429, kept=True),
)
async def status(posted: PostedNow, if_none_match: Tags = None) -> Response:
    """By province and class of facility, how many are reachable, in trouble or not known.

    By the newest five minutes of each; and what is known of incidents of several. No key is
    needed, and pages of any origin may read it. It is computed every 30 seconds; with
    `If-None-Match` the answer is 304 until there is news. Counts below three are not told.
    """
    return _answer(posted.json, posted.json_tag, if_none_match, "application/json")


@router.get(
    "/status.atom",
    response_class=Response,
    responses=documented(FEED_EXAMPLE, 429, media_type=ATOM, kept=True),
)
async def feed(posted: PostedNow, if_none_match: Tags = None) -> Response:
    """The same as an Atom feed: an entry for each province and each incident.

    An incident that is over stays in it for a day, and says so.
    """
    return _answer(posted.atom, posted.atom_tag, if_none_match, f"{ATOM}; charset=utf-8")


def _answer(body: bytes, tag: str, known: str | None, media_type: str) -> Response:
    headers = {"ETag": tag, "Cache-Control": f"public, max-age={PERIOD_S}"}
    if known is not None and matches(known, tag):
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)
