"""A report as a page that prints well: no script, its own style inside, Lao or English."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from devices.geography import DISTRICTS, PROVINCES
from reports.periods import LOCAL_MS, iso, parse_iso
from reports.statement import form_of, statement_of
from reports.texts import Language, texts

ONE_OF = {
    "provinces": "province",
    "districts": "district",
    "agencies": "agency",
    "providers": "provider",
}
MOST_DISTRICTS = 20  # printed; JSON and CSV hold all


def as_html(report: dict[str, Any], language: Language) -> str:
    """The page. Everything in it that is not ours is escaped."""
    words = texts(language)
    page = _environment().get_template("report.html")
    return page.render(
        report=report,
        t=words,
        lang=language,
        style=Markup(style()),
        statement=statement_of(report, html_form()),
        about=_about(report["scope"], language),
        period=_period(report["period"]),
        status=words[report["status"]].format(revision=report["revision"]),
        summary=_summary(report, words),
        groups=[(kind, report[kind]) for kind in ONE_OF if _is_printed(kind, report[kind])],
        one_of=ONE_OF,
        site_names={one["id"]: one[f"name_{language}"] for one in report["sites"]},
    )


def html_form() -> str:
    """What a page says of its form: another version may have other words, style and order."""
    return form_of("as_html.py", "page/report.html", "page/report.css", "data/texts.csv")


@cache
def style() -> str:
    """The style sheet that is in every page."""
    return (files("reports") / "page" / "report.css").read_text("utf-8")


@cache
def style_policy() -> str:
    """The Content-Security-Policy that lets a page have this style and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("reports", "page"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["pct"] = _pct
    environment.filters["number"] = _number
    environment.filters["hours"] = lambda minutes: _number(
        None if minutes is None else minutes / 60
    )
    environment.filters["local"] = _local
    return environment


def _is_printed(kind: str, rows: list[Any]) -> bool:
    return len(rows) > 1 and not (kind == "districts" and len(rows) > MOST_DISTRICTS)


def _about(scope: dict[str, str], language: Language) -> str:
    words = texts(language)
    if not scope:
        return words["of_country"]
    return ", ".join(
        f"{words[name]} {_place(name, value, scope, language)}"
        for name, value in sorted(scope.items())
    )


def _place(name: str, value: str, scope: dict[str, str], language: Language) -> str:
    if name == "province" and value in PROVINCES:
        return str(getattr(PROVINCES[value], f"name_{language}"))
    if name == "district" and (scope.get("province", ""), value) in DISTRICTS:
        found = DISTRICTS[scope["province"], value]
        return str(getattr(found, f"name_{language}") or value)
    return value


def _period(period: dict[str, str]) -> str:
    return period["name"] or f"{_local(period['start'])} – {_local(period['end'])}"


def _summary(report: dict[str, Any], words: dict[str, str]) -> list[str]:
    """What it comes to, in sentences."""
    total, speed = report["total"], report["total"]["speed"]
    if total["availability"] is None:
        return [words["sum_none"]]
    shares = {name: _pct(total[name]) for name in ("availability", "lower", "upper", "coverage")}
    facts = {**shares, "sites": total["sites"], "outages": total["outages"]}
    known = "sum_known" if total["sufficient"] else "sum_little"
    outages = "sum_outages" if total["outages"] else "sum_no_outages"
    judged = "sum_speed" if speed["share"] is not None else "sum_no_speed"
    return [
        words["sum_reach"].format(**facts),
        words[known].format(**facts),
        words[outages].format(**facts, mttr=_number(total["mttr_minutes"])),
        words[judged].format(
            share=_pct(speed["share"]),
            tests=speed["tests"],
            floor=_number(report["rules"]["contracted_floor_pct"]),
        ),
    ]


def _pct(share: float | None) -> str:
    """A share as per cent; what is not all is never rounded up to all."""
    if share is None:
        return "–"
    shown = f"{100 * share:.2f}"
    return f"{'99.99' if share < 1 and shown == '100.00' else shown}\u00a0%"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}".removesuffix(".0")


def _hours(minutes: float | None) -> str:
    return _number(None if minutes is None else minutes / 60)


def _local(at: str) -> str:
    """An ISO time as one in Vientiane, to the minute."""
    return iso(parse_iso(at) + LOCAL_MS)[:16].replace("T", " ")
