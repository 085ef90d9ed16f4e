"""The national sample covers the country and is right in both languages."""

from __future__ import annotations

import re
from pathlib import Path

from devices.geography import DISTRICTS, PROVINCES
from devices.kinds import KINDS
from devices.registry import LINK_TYPES
from devices.registry_files import read_registry
from devices.sample import national_sample, write_sample

SAMPLE = national_sample()


def test_the_sample_covers_the_country() -> None:
    """300 sites in all provinces and districts, of several agencies and providers."""
    sites = SAMPLE.sites.values()
    assert len(sites) == 300
    assert {site.province for site in sites} == set(PROVINCES)
    assert {(site.province, site.district) for site in sites} == set(DISTRICTS)
    assert len({site.agency for site in sites}) >= 5
    uplinks = [uplink for site in sites for uplink in site.uplinks]
    assert {uplink.link_type for uplink in uplinks} == set(LINK_TYPES)
    assert len({uplink.provider for uplink in uplinks}) >= 4


def test_every_kind_is_in_the_sample() -> None:
    """All nine kinds report at real intervals, and every site has a device."""
    devices = SAMPLE.devices.values()
    assert {device.kind for device in devices} == set(KINDS)
    assert {device.site for device in devices} == set(SAMPLE.sites)
    assert all(60 <= device.interval_s <= 300 for device in devices)
    assert {device.uplink for device in devices} == {1, 2}


def test_names_are_told_apart_in_both_languages() -> None:
    """No two sites share a name, and Lao names hold what the geography has of Lao."""
    sites = SAMPLE.sites.values()
    assert len({site.name_en for site in sites}) == len({site.name_lo for site in sites}) == 300
    for site in sites:
        assert re.search("[\u0e80-\u0eff]", site.name_lo)
        assert PROVINCES[site.province].name_lo in site.name_lo
        district = DISTRICTS[site.province, site.district]
        if "ເມືອງ" in site.name_lo:
            assert (district.name_lo or district.name_en) in site.name_lo


def test_sites_are_near_their_districts() -> None:
    """A site lies within a few kilometres of its district's centroid."""
    for site in SAMPLE.sites.values():
        district = DISTRICTS[site.province, site.district]
        assert site.lat is not None
        assert site.lon is not None
        assert abs(site.lat - district.lat) < 0.02
        assert abs(site.lon - district.lon) < 0.02


def test_a_copy_is_the_same_registry(tmp_path: Path) -> None:
    """What write_sample writes can be edited and read as any registry."""
    assert write_sample(tmp_path / "sample") == read_registry([tmp_path / "sample"]) == SAMPLE
