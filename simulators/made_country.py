"""Made-up countries: a registry of any size, the same for the same seed."""

from __future__ import annotations

from itertools import cycle
from random import Random

from devices.geography import DISTRICTS, PROVINCES, District
from devices.registry import Device, Registry, Site, Uplink
from simulators.world.chance import stream

MOUNTAINS = ("LA-PH", "LA-HO", "LA-XS", "LA-XE", "LA-AT")
PROVIDERS = (("Lao Telecom", 0.34), ("Unitel", 0.34), ("ETL", 0.2), ("TPLUS", 0.12))
LINKS = (("fibre", 0.42), ("4g", 0.22), ("dsl", 0.12), ("fixed-wireless", 0.1), ("vsat-geo", 0.08),
         ("3g", 0.03), ("vsat-leo", 0.02), ("5g", 0.01))  # fmt: skip
MOUNTAIN_LINKS = (("fibre", 0.2), ("4g", 0.32), ("vsat-geo", 0.26), ("3g", 0.1),
                  ("fixed-wireless", 0.08), ("vsat-leo", 0.04))  # fmt: skip
SATELLITE = "LaoSat"
SPEED_MBPS = {"fibre": (50.0, 50.0), "dsl": (12.0, 2.0), "fixed-wireless": (20.0, 10.0),
              "3g": (4.0, 1.0), "4g": (20.0, 8.0), "5g": (100.0, 30.0), "vsat-geo": (6.0, 1.5),
              "vsat-leo": (80.0, 12.0)}  # fmt: skip
CLASSES = (("office", 0.4), ("health-centre", 0.2), ("hospital", 0.14), ("school", 0.12),
           ("water-plant", 0.14), ("river-station", 0.05))  # fmt: skip
NAMES = {
    "office": ("District Office", "ຫ້ອງວ່າການເມືອງ", "Office of the Governor"),
    "health-centre": ("Health Centre", "ສຸກສາລາເມືອງ", "Ministry of Health"),
    "hospital": ("Hospital", "ໂຮງໝໍເມືອງ", "Ministry of Health"),
    "school": ("Secondary School", "ໂຮງຮຽນມັດທະຍົມເມືອງ", "Ministry of Education and Sports"),
    "river-station": ("River Station", "ສະຖານີອຸທົກກະສາດເມືອງ", "Meteorology and Hydrology"),
    "water-plant": ("Water Plant", "ໂຮງງານນ້ຳປະປາເມືອງ", "Water Supply State Enterprise"),
}
KINDS_OF = {
    "office": ("environment", "power", "presence", "environment"),
    "health-centre": ("cold-chain", "solar", "environment", "presence"),
    "hospital": ("cold-chain", "power", "environment", "cold-chain"),
    "school": ("environment", "air-quality", "presence", "water-level"),
    "water-plant": ("water-level", "water-quality", "power", "water-level"),
    "river-station": ("water-level", "solar"),
}
INTERVALS_S = ((60, 0.12), (120, 0.16), (180, 0.2), (300, 0.52))
SITES_A_DISTRICT = (3, 4, 5, 6)


def made_country(seed: int, sites: int, devices: int) -> Registry:
    """A registry of so many sites and devices: a probe at each, sensors as its class has them.

    Sites stand together in a few districts of each province, so that they share what fails
    together; a few have a second uplink, and some of those a second probe on it. ValueError where
    there are fewer devices than sites.
    """
    if not 0 < sites <= devices:
        raise ValueError(f"{sites} sites with {devices} devices; each site has at least a probe")
    draw = stream(seed, "country")
    made: dict[str, Site] = {}
    for district in _districts(draw, sites):
        for _ in range(draw.choice(SITES_A_DISTRICT)):
            if len(made) < sites:
                site = _site(draw, len(made) + 1, district)
                made[site.site] = site
    return Registry(made, _devices(draw, made, devices))


def _districts(draw: Random, sites: int) -> list[District]:
    """Districts to settle, more of them where more people live."""
    by_province: dict[str, list[District]] = {}
    for district in DISTRICTS.values():
        by_province.setdefault(district.province, []).append(district)
    for found in by_province.values():
        draw.shuffle(found)
    codes = sorted(PROVINCES)
    weights = [PROVINCES[code].population_2015 ** 0.6 for code in codes]
    chosen: list[District] = []
    while len(chosen) * min(SITES_A_DISTRICT) < sites:
        code = draw.choices(codes, weights)[0]
        found = by_province[code]
        chosen.append(found.pop() if found else draw.choice(chosen))
    return chosen


def _pick(draw: Random, table: tuple[tuple[str, float], ...]) -> str:
    return draw.choices([name for name, _ in table], [share for _, share in table])[0]


def _site(draw: Random, number: int, district: District) -> Site:
    site_class = _pick(draw, CLASSES)
    english, lao, agency = NAMES[site_class]
    code = district.province.removeprefix("LA-").lower()
    feeder = f"{code.upper()}-{district.district}-F{draw.choice((1, 1, 2))}"
    return Site(
        site=f"{code}-{site_class}-{number:03d}",
        name_en=f"{district.name_en} {english} {number}",
        name_lo=f"{lao}{district.name_lo or ' ' + district.name_en} {number}",
        site_class=site_class,
        province=district.province,
        district=district.district,
        lat=round(district.lat + draw.uniform(-0.09, 0.09), 4),
        lon=round(district.lon + draw.uniform(-0.09, 0.09), 4),
        agency=agency,
        uplinks=_uplinks(draw, district.province, site_class),
        feeder=feeder if draw.random() < 0.9 else "",
        priority="critical" if site_class == "hospital" and draw.random() < 0.6 else "normal",
    )


def _uplinks(draw: Random, province: str, site_class: str) -> tuple[Uplink, ...]:
    table = MOUNTAIN_LINKS if province in MOUNTAINS else LINKS
    first = _uplink(draw, _pick(draw, table))
    if draw.random() > (0.45 if site_class in ("office", "hospital") else 0.12):
        return (first,)
    spare = "vsat-geo" if first.link_type == "4g" and draw.random() < 0.5 else "4g"
    second = _uplink(draw, "fibre" if first.link_type == spare else spare)
    while second.provider == first.provider:
        second = _uplink(draw, second.link_type)
        if second.provider == first.provider == SATELLITE:
            second = _uplink(draw, "4g")
    return (first, second)


def _uplink(draw: Random, link_type: str) -> Uplink:
    provider = SATELLITE if link_type.startswith("vsat") else _pick(draw, PROVIDERS)
    return Uplink(provider, link_type, *SPEED_MBPS[link_type])


def _devices(draw: Random, sites: dict[str, Site], count: int) -> dict[str, Device]:
    made: dict[str, Device] = {}

    def add(site: Site, kind: str, uplink: int = 1) -> None:
        name = f"{kind}-{len(made) + 1:04d}"
        interval_s = draw.choices([s for s, _ in INTERVALS_S], [w for _, w in INTERVALS_S])[0]
        params: dict[str, float | int] = {}
        if kind == "water-level" and site.site_class != "river-station":
            params["height_m"] = draw.choice((3.0, 4.0, 5.0, 6.0))
        if kind == "solar":
            params["bank_v"] = draw.choice((12, 24))
        made[name] = Device(name, site.site, kind, float(interval_s), uplink, params)

    for site in sites.values():
        add(site, "connectivity-probe")
    wanting = {site.site: list(KINDS_OF[site.site_class]) for site in sites.values()}
    for site in cycle(sites.values()):
        if len(made) >= count:
            break
        if len(site.uplinks) > 1 and draw.random() < 0.12:
            add(site, "connectivity-probe", 2)
        elif wanting[site.site]:
            add(site, wanting[site.site].pop(0))
        else:
            add(site, "environment")
    return made
