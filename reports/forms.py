"""The forms that a report is given away in: JSON, and a table and a page made of it."""

from __future__ import annotations

from typing import Any, Literal

from reports.as_csv import as_csv, csv_form
from reports.as_html import as_html, html_form
from reports.canonical import canonical
from reports.texts import Language

Format = Literal["json", "csv", "html"]


def rendered(report: dict[str, Any], form: Format, language: Language, *, bom: bool) -> str:
    """A report in a format other than its own text."""
    if form == "csv":
        return as_csv(report, bom=bom)
    if form == "html":
        return as_html(report, language)
    return canonical(report)


def form_now(form: Format) -> str:
    """What a table or page of this version says of its form; "" for JSON, which says its schema."""
    if form == "csv":
        return csv_form()
    return html_form() if form == "html" else ""
