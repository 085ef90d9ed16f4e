"""The client's questions about what was measured: readings, charts, files, accounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from api import answers_measured as answers
from api.client_connection import Connection, Download, part_of_path

TableFormat = Literal["csv", "parquet"]


class Measured(Connection):
    """What was measured, and how much of it came."""

    def latest(self, device: str) -> answers.Latest:
        """The newest reading of each metric."""
        return self.get(f"/devices/{part_of_path(device)}/latest", answers.Latest)

    def latest_of(self, **filters: Any) -> Iterator[answers.LatestOfSite]:
        """The same of many devices: province, district, site, agency, kind, metric."""
        return self.pages("/telemetry/latest", answers.LatestOfSite, **filters)

    def latest_file(
        self, format_: TableFormat = "csv", *, bom: bool | None = None, **filters: Any
    ) -> Download:
        """The same as a table; filters as of latest_of. bom: of CSV, for Excel."""
        return Download(self, "/telemetry/latest", {**filters, "format": format_, "bom": bom})

    def telemetry(self, device: str | Sequence[str], **question: Any) -> Iterator[answers.Point]:
        """Readings of one or several devices, or buckets of them: from_, to, metric, bucket, agg.

        agg: of count, min, max, mean, last, coverage, p95.
        """
        path, whose = _telemetry_of(device)
        return self.pages(path, answers.Point, **whose, **question)

    def chart(
        self, device: str | Sequence[str], *, points: int, **question: Any
    ) -> list[answers.Point]:
        """What a chart so many pixels wide shows, no peak left out: from_, to, metric."""
        path, whose = _telemetry_of(device)
        return list(self.pages(path, answers.Point, points=points, **whose, **question))

    def telemetry_file(
        self,
        device: str | Sequence[str],
        format_: TableFormat = "csv",
        *,
        bom: bool | None = None,
        **question: Any,
    ) -> Download:
        """The same as a table; question as of telemetry. bom: of CSV, for Excel."""
        path, whose = _telemetry_of(device)
        return Download(self, path, {**whose, **question, "format": format_, "bom": bom})

    def hours(self, device: str, **question: Any) -> Iterator[answers.Hour]:
        """What of a device was expected, came and is missing, by hour: from_, to."""
        return self.pages(f"/devices/{part_of_path(device)}/accounting", answers.Hour, **question)

    def accounting(self, **question: Any) -> answers.Accounting:
        """The same, summed over all devices or a province: from_, to, province."""
        return self.get("/accounting", answers.Accounting, **question)

    def sequences(self, device: str) -> answers.Sequences:
        """By the device's own numbering, what of each boot has not come."""
        return self.get(f"/devices/{part_of_path(device)}/sequences", answers.Sequences)

    def availability(self, site: str, **question: Any) -> answers.Availability:
        """How long a site was reachable, with bounds and outages: from_, to."""
        path = f"/sites/{part_of_path(site)}/availability"
        return self.get(path, answers.Availability, **question)


def _telemetry_of(device: str | Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The path, and what it is asked."""
    if isinstance(device, str):
        return f"/devices/{part_of_path(device)}/telemetry", {}
    return "/telemetry", {"device": device}
