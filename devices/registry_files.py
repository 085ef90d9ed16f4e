"""The registry's files: sites.csv and devices.csv, or one YAML file with the same names."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from devices.registry import (
    Device,
    Problem,
    Registry,
    RegistryError,
    Site,
    Uplink,
    device_faults,
    site_faults,
)
from devices.registry_rows import Row, read_tables

UPLINK_COLUMNS = ("provider", "link_type", "contracted_down_mbps", "contracted_up_mbps")
SECOND_UPLINK_COLUMNS = tuple(f"{column}2" for column in UPLINK_COLUMNS)
SITE_COLUMNS = (
    *("site", "name_en", "name_lo", "class", "province", "district", "lat", "lon", "agency"),
    *UPLINK_COLUMNS,
    *("feeder", "priority"),
)
DEVICE_COLUMNS = ("device", "site", "kind", "interval_s", "uplink", "params")

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,3})?")


def read_registry(paths: Sequence[Path], *, onto: Registry | None = None) -> Registry:
    """The registry that the files hold, laid over `onto` where one is given.

    Each path is a CSV file, a YAML file with `sites:` and `devices:`, or a directory that holds
    sites.csv and devices.csv. Columns that are not known are ignored. Raises RegistryError with
    all rows and files that cannot be read or, when all can, with every problem in every row.
    """
    site_rows: list[Row] = []
    device_rows: list[Row] = []
    problems: list[Problem] = []
    for path in paths:
        tables = read_tables(path, {"sites": SITE_COLUMNS, "devices": DEVICE_COLUMNS})
        site_rows += tables.sites
        device_rows += tables.devices
        problems += tables.problems
    if problems:  # what was not read would be missed everywhere else
        raise RegistryError(problems)
    sites = dict(onto.sites) if onto else {}
    devices = dict(onto.devices) if onto else {}
    for row in site_rows:
        site = _site(row, problems)
        problems += (row.problem(*fault) for fault in site_faults(site))
        sites[site.site] = site
    for row in device_rows:
        device = _device(row, problems)
        problems += (row.problem(*fault) for fault in device_faults(device, sites))
        devices[device.device] = device
    problems += _repeated(site_rows, "site")
    problems += _repeated(device_rows, "device")
    if problems:
        raise RegistryError(problems)
    return Registry(sites, devices)


def _repeated(rows: Iterable[Row], column: str) -> Iterable[Problem]:
    first: dict[str, Row] = {}
    for row in rows:
        name = row.cells.get(column, "")
        if name in first:
            allowed = f"once; it is in {first[name].file}:{first[name].line}"
            yield row.problem(column, repr(name), allowed)
        first.setdefault(name, row)


def _site(row: Row, problems: list[Problem]) -> Site:
    cells = row.cells
    uplinks = [_uplink(row, UPLINK_COLUMNS, problems)]
    if any(cells.get(column) for column in SECOND_UPLINK_COLUMNS):
        uplinks.append(_uplink(row, SECOND_UPLINK_COLUMNS, problems))
    return Site(
        site=cells.get("site", ""),
        name_en=cells.get("name_en", ""),
        name_lo=cells.get("name_lo", ""),
        site_class=cells.get("class", ""),
        province=cells.get("province", ""),
        district=cells.get("district", ""),
        lat=_number(row, "lat", problems),
        lon=_number(row, "lon", problems),
        agency=cells.get("agency", ""),
        uplinks=tuple(uplinks),
        feeder=cells.get("feeder", ""),
        priority=cells.get("priority") or "normal",
    )


def _uplink(row: Row, columns: tuple[str, ...], problems: list[Problem]) -> Uplink:
    provider, link_type, down, up = columns
    return Uplink(
        row.cells.get(provider, ""),
        row.cells.get(link_type, ""),
        _number(row, down, problems),
        _number(row, up, problems),
    )


def _device(row: Row, problems: list[Problem]) -> Device:
    cells = row.cells
    interval_s = _number(row, "interval_s", problems)
    if not cells.get("interval_s"):
        problems.append(row.problem("interval_s", "empty", "seconds"))
    return Device(
        device=cells.get("device", ""),
        site=cells.get("site", ""),
        kind=cells.get("kind", ""),
        interval_s=1.0 if interval_s is None else interval_s,  # a problem is noted above
        uplink=_uplink_number(row, problems),
        params=_params(row, problems),
    )


def _number(row: Row, column: str, problems: list[Problem]) -> float | None:
    """The number in a cell; None where it is empty, or is not a number, which is a problem."""
    text = row.cells.get(column, "")
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    problems.append(row.problem(column, repr(text), "a number such as 17.96"))
    return None


def _uplink_number(row: Row, problems: list[Problem]) -> int:
    text = row.cells.get("uplink") or "1"
    if text in ("1", "2"):
        return int(text)
    problems.append(row.problem("uplink", repr(text), "1 or 2"))
    return 1


def _params(row: Row, problems: list[Problem]) -> dict[str, Any]:
    text = row.cells.get("params") or "{}"
    try:
        params = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        params = None
    if isinstance(params, dict):
        return params
    problems.append(row.problem("params", repr(text[:80]), 'a JSON object such as {"height_m":4}'))
    return {}


def write_registry(registry: Registry, directory: Path) -> None:
    """Write sites.csv and devices.csv, which read_registry reads back as the same registry."""
    directory.mkdir(parents=True, exist_ok=True)
    sites = ([*SITE_COLUMNS, *SECOND_UPLINK_COLUMNS], map(_site_cells, registry.sites.values()))
    devices = ([*DEVICE_COLUMNS], map(_device_cells, registry.devices.values()))
    for name, (header, rows) in {"sites.csv": sites, "devices.csv": devices}.items():
        with (directory / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows(rows)


def _site_cells(site: Site) -> list[str]:
    cells = [site.site, site.name_en, site.name_lo, site.site_class, site.province, site.district]
    cells += [_text(site.lat), _text(site.lon), site.agency]
    cells += _uplink_cells(site.uplinks[0])
    cells += [site.feeder, site.priority]
    return cells + (_uplink_cells(site.uplinks[1]) if len(site.uplinks) > 1 else [""] * 4)


def _uplink_cells(uplink: Uplink) -> list[str]:
    speeds = (uplink.contracted_down_mbps, uplink.contracted_up_mbps)
    return [uplink.provider, uplink.link_type, *map(_text, speeds)]


def _device_cells(device: Device) -> list[str]:
    params = json.dumps(device.params, ensure_ascii=False, separators=(",", ":"))
    return [
        *(device.device, device.site, device.kind, _text(device.interval_s), str(device.uplink)),
        params if device.params else "",
    ]


def _text(number: float | None) -> str:
    if number is None:
        return ""
    return str(int(number)) if number == int(number) else repr(float(number))
