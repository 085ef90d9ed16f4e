"""The national sample: a made-up fleet in every province and district, for trials and tests.

300 sites: an office of each province and district, hospitals, health centres, schools, water
plants and river stations of several agencies, on several providers and every link type. Places
are real districts; the sites, their links and their power feeders are invented. A district whose
Lao name is not in the geography keeps its English name within the Lao text.
"""

from __future__ import annotations

from pathlib import Path

from devices.registry import Registry
from devices.registry_files import read_registry, write_registry

SAMPLE = Path(__file__).parent / "data" / "sample"


def national_sample() -> Registry:
    """The sample's 300 sites and 413 devices."""
    return read_registry([SAMPLE])


def write_sample(directory: Path) -> Registry:
    """Write the sample's sites.csv and devices.csv into a directory, and return it."""
    registry = national_sample()
    write_registry(registry, directory)
    return registry
