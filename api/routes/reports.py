"""/reports: connectivity over a time, with revisions and digests; the broadband roll-out."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from api import cursors
from api.bulk import note_bulk
from api.documentation import documented
from api.pages import Page, page_of
from api.parameters import WORD, Cursor, From, Limit, ProvinceFilter, SiteFilter, To, check_province
from api.platform import Platform, PlatformNow
from api.problems import FieldError, ProblemError, invalid, not_found
from api.report_examples import CONNECTIVITY, OTHER_FORMATS, REVISION, ROLLOUT
from api.times import TimeOut, iso
from reports.as_html import style_policy
from reports.calendars import CalendarName
from reports.connectivity import Question
from reports.forms import Format, rendered
from reports.gathering import TooMuchError, gather_tests
from reports.issuing import Asked, loaded, report_now, revision_of
from reports.periods import Period, PeriodError, local_date, period_between, period_named
from reports.rollout import rollout_of
from reports.texts import Language
from storage.ledger.inventory import get_site
from storage.ledger.report_data import Within, revisions

router = APIRouter(prefix="/reports", tags=["reports"])

MEDIA_TYPES = {"json": "application/json", "csv": "text/csv", "html": "text/html"}
PERIODS = "a local year 2026, month 2026-10 or day 2026-10-05; or from and to"

PERIOD = r"^20[0-9]{2}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?$"  # in the document

PeriodName = Annotated[
    str | None,
    Query(
        max_length=10,
        description=f"{PERIODS}; the last whole month",
        examples=["2026-09"],
        json_schema_extra={"pattern": PERIOD},
    ),
]
DistrictFilter = Annotated[str | None, Query(pattern=WORD, description="of a province")]
Named = Annotated[str | None, Query(pattern=WORD)]


class ReportOut(BaseModel):
    """A connectivity report; docs/reports.md says what every figure means.

    The body is canonical JSON: kept as it is, it can be verified.
    """

    model_config = ConfigDict(extra="allow")
    kind: Literal["connectivity"]
    status: Literal["provisional", "final"]
    revision: int
    as_of: TimeOut
    digest: str
    scope: dict[str, str]
    period: dict[str, str]
    calendar: dict[str, Any]
    data_until: TimeOut
    rules: dict[str, Any]
    total: dict[str, Any]
    provinces: list[dict[str, Any]]
    districts: list[dict[str, Any]]
    agencies: list[dict[str, Any]]
    providers: list[dict[str, Any]]
    sites: list[dict[str, Any]]
    worst_sites: list[dict[str, Any]]
    outages: dict[str, Any]
    planned_work: list[dict[str, Any]]
    data: dict[str, Any]


class RevisionOut(BaseModel):
    """A final report that was issued."""

    revision: int
    issued_at: TimeOut
    digest: str


class CountsOut(BaseModel):
    """Offices by whether their link reaches the target. share: of those of which it is known."""

    model_config = ConfigDict(extra="allow")
    sites: int
    meets: int
    misses: int
    unknown: int
    share: float | None
    services: dict[str, dict[str, float | None]]


class RolloutOut(BaseModel):
    """How far broadband has come. meets, and each service of a site: null where it is unknown."""

    period: dict[str, str]
    scope: dict[str, str]
    target: dict[str, float]
    services: list[dict[str, Any]]
    total: CountsOut
    agencies: list[CountsOut]
    provinces: list[CountsOut]
    agencies_by_province: list[CountsOut]
    sites: list[dict[str, Any]]


@router.get(
    "/connectivity",
    response_model=ReportOut,
    responses=documented(CONNECTIVITY, 404, also=OTHER_FORMATS),
)
def connectivity(
    request: Request,
    platform: PlatformNow,
    period: PeriodName = None,
    from_: From = None,
    to: To = None,
    calendar: CalendarName = "24x7",
    province: ProvinceFilter = None,
    district: DistrictFilter = None,
    agency: Named = None,
    provider: Named = None,
    site: SiteFilter = None,
    revision: Annotated[
        int | None, Query(ge=1, le=10**6, description="an earlier one, as it was issued")
    ] = None,
    format_: Annotated[Format, Query(alias="format")] = "json",
    lang: Annotated[Language, Query(description="of the page")] = "en",
    bom: Annotated[bool, Query(description="CSV with the mark that Excel asks for")] = False,
) -> Response:
    """Minutes up, degraded, down, unknown and left out, with bounds, outages and speeds.

    Of the sites that are all of what is asked, together and by province, district, agency,
    provider and site. Provisional until the settling time has passed, then final; JSON, CSV or a
    page that prints, each with its digest.
    """
    within = _within(platform, Within(province, district, agency, provider, site))
    asked = Asked(within, _period(platform, period, from_, to), calendar)
    note_bulk(request)
    if revision is None:
        text = _report(platform, asked)
    else:
        kept = revision_of(platform.ledger, asked, revision)
        if kept is None:
            raise not_found("revision", str(revision))
        text = kept
    body = text if format_ == "json" else rendered(loaded(text), format_, lang, bom=bom)
    headers = {"Content-Security-Policy": style_policy()} if format_ == "html" else {}
    if format_ == "csv":
        headers["Content-Disposition"] = 'attachment; filename="connectivity.csv"'
    return Response(body.encode(), media_type=MEDIA_TYPES[format_], headers=headers)


@router.get(
    "/connectivity/revisions",
    response_model=Page[RevisionOut],
    responses=documented({"items": [REVISION], "next": None}, 404),
)
def connectivity_revisions(
    request: Request,
    platform: PlatformNow,
    period: PeriodName = None,
    from_: From = None,
    to: To = None,
    calendar: CalendarName = "24x7",
    province: ProvinceFilter = None,
    district: DistrictFilter = None,
    agency: Named = None,
    provider: Named = None,
    site: SiteFilter = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """The revisions of a final report that were issued so far, the first one first."""
    within = _within(platform, Within(province, district, agency, provider, site))
    asked = Asked(within, _period(platform, period, from_, to), calendar)
    after = cursors.decode(request, cursor, (int,)) if cursor else (0,)
    rows = revisions(platform.ledger, asked.key, after=int(after[0]), limit=limit + 1)
    return page_of(
        request,
        rows,
        limit,
        item=lambda row: {"revision": row[0], "issued_at": iso(row[1]), "digest": row[2]},
        position=lambda row: (row[0],),
    )


@router.get("/rollout", response_model=RolloutOut, responses=documented(ROLLOUT, 404))
def rollout(
    request: Request,
    platform: PlatformNow,
    period: PeriodName = None,
    from_: From = None,
    to: To = None,
    province: ProvinceFilter = None,
    district: DistrictFilter = None,
    agency: Named = None,
    provider: Named = None,
    site: SiteFilter = None,
) -> dict[str, Any]:
    """The offices whose measured link reaches the target, and what each office can use.

    By agency and province. Offices without enough speed tests are unknown: counted, and in no
    share. Services by the thresholds of M-Lab's IQB.
    """
    within = _within(platform, Within(province, district, agency, provider, site))
    about = _period(platform, period, from_, to)
    note_bulk(request)
    sources = gather_tests(platform.ledger, within, about)
    return rollout_of(Question(within, about, "24x7", about.end_ms), sources, platform.report_rules)


def _report(platform: Platform, asked: Asked) -> str:
    try:
        return report_now(platform.ledger, asked, platform.report_rules, platform.now_ms())
    except TooMuchError as exc:
        error = FieldError("period", "is too long for so many sites", None, str(exc))
        raise ProblemError(422, f"ask for less at once: {exc}", errors=[error]) from exc


def _within(platform: Platform, within: Within) -> Within:
    check_province(within.province)
    if within.site is not None and get_site(platform.ledger, within.site) is None:
        raise not_found("site", within.site)
    return within


def _period(platform: Platform, name: str | None, from_ms: int | None, to_ms: int | None) -> Period:
    """The period that is asked for; the last whole month where none is."""
    if (from_ms is None) != (to_ms is None):
        missing = "from" if from_ms is None else "to"
        raise invalid(missing, "is missing", got=None, allowed=PERIODS)
    if name is not None and from_ms is not None:
        raise invalid("period", "is given beside from and to", got=name, allowed=PERIODS)
    try:
        if from_ms is not None and to_ms is not None:
            return period_between(from_ms, to_ms)
        if name is None:
            today = local_date(platform.now_ms())
            name = (today.replace(day=1) - timedelta(days=1)).isoformat()[:7]
        return period_named(name)
    except PeriodError as exc:
        field, got = ("period", name) if name is not None else ("to", iso(to_ms or 0))
        raise invalid(field, str(exc), got=got, allowed=PERIODS) from exc
