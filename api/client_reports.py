"""The client's questions for reports: connectivity with its revisions, the broadband roll-out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from api import answers_reports as answers
from api.client_connection import Connection, Download


class Reports(Connection):
    """Reports. Their period: period="2026-09", or from_ and to; else the last whole month.

    They are narrowed by province, district, agency, provider, site.
    """

    def connectivity(self, **question: Any) -> answers.Report:
        """How long sites were reachable; also calendar ("working-hours"), revision."""
        return self.get("/reports/connectivity", answers.Report, **question)

    def connectivity_file(
        self, format_: Literal["json", "csv", "html"] = "json", **question: Any
    ) -> Download:
        """The same as a file; also bom (of CSV), lang ("en" or "lo", of HTML).

        `govsense report verify` takes each format as it is saved.
        """
        return Download(self, "/reports/connectivity", {**question, "format": format_})

    def connectivity_revisions(self, **question: Any) -> Iterator[answers.Revision]:
        """The revisions of a final report that were issued, the first one first."""
        return self.pages("/reports/connectivity/revisions", answers.Revision, **question)

    def rollout(self, **question: Any) -> answers.Rollout:
        """The offices whose measured link reaches the broadband target, and what each can use."""
        return self.get("/reports/rollout", answers.Rollout, **question)
