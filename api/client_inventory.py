"""The client's questions about what there is: kinds, places, sites, devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from api import answers
from api.client_connection import V1, Connection, Download, part_of_path


class Inventory(Connection):
    """What there is."""

    def kinds(self) -> Iterator[answers.Kind]:
        """Kinds of devices with their metrics."""
        return self.pages("/kinds", answers.Kind)

    def provinces(self) -> Iterator[answers.Province]:
        """Provinces with sites, devices by lifecycle and open alerts."""
        return self.pages("/provinces", answers.Province)

    def districts(self, **filters: Any) -> Iterator[answers.District]:
        """Districts; filter province."""
        return self.pages("/districts", answers.District, **filters)

    def sites(self, **filters: Any) -> Iterator[answers.Site]:
        """Sites; filters province, district, class_, agency."""
        return self.pages("/sites", answers.Site, **filters)

    def site(self, site: str) -> answers.Site:
        """One site with its devices."""
        return self.get(f"/sites/{part_of_path(site)}", answers.Site)

    def sites_map(self, **filters: Any) -> dict[str, Any]:
        """Sites as one FeatureCollection of GeoJSON; filters as of sites."""
        features: list[Any] = []
        cursor: str | None = None
        while True:
            question = {**filters, "format": "geojson", "cursor": cursor}
            page = msgspec.json.decode(self._read(f"{V1}/sites", question))
            features += page["features"]
            cursor = page["next"]
            if cursor is None:
                return {"type": "FeatureCollection", "features": features}

    def sites_file(self, *, bom: bool = False, **filters: Any) -> Download:
        """Sites as CSV with the columns of sites.csv; filters as of sites. bom: for Excel."""
        return Download(self, "/sites", {**filters, "format": "csv", "bom": bom})

    def devices(self, **filters: Any) -> Iterator[answers.Device]:
        """Devices; filters province, district, site, kind, lifecycle."""
        return self.pages("/devices", answers.Device, **filters)

    def device(self, device: str) -> answers.Device:
        """One device with its parameters and its last status."""
        return self.get(f"/devices/{part_of_path(device)}", answers.Device)
