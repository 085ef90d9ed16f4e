"""The registry in the ledger, and the command that fills it: whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from devices.registry import Device, Registry, RegistryError
from devices.registry_files import read_registry
from devices.sample import national_sample
from runtime.cli import main
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.registry import add_registry, load_registry, registry_version
from storage.ledger.series import add_series, load_series, series_of
from tests.storage.country import registered

HOME = registered([("s1", "LA-LP", "luangprabang")])
OTHER = registered([("s2", "LA-VT", "naxaithong")])


def test_what_is_added_is_loaded(ledger: Ledger) -> None:
    """Sites and devices come back as they were added, all of them."""
    assert load_registry(ledger) == Registry()
    sample = national_sample()
    add_registry(ledger, sample)
    assert load_registry(ledger) == sample


def test_a_device_that_has_reported_keeps_its_kind(ledger: Ledger) -> None:
    """Another kind is refused once there are readings, and taken before."""
    add_registry(ledger, HOME)
    add_registry(ledger, OTHER)
    other = {
        name: replace(device, kind="cold-chain", params={})
        for registry in (HOME, OTHER)
        for name, device in registry.devices.items()
    }
    add_series(ledger, [(0, "probe-s1", "nat_rtt_p50_ms")])
    with pytest.raises(RegistryError, match="of probe-s1"):
        add_registry(ledger, Registry({**HOME.sites, **OTHER.sites}, other))
    add_registry(ledger, Registry(OTHER.sites, {"probe-s2": other["probe-s2"]}))
    kinds = {name: device.kind for name, device in load_registry(ledger).devices.items()}
    assert (kinds["probe-s1"], kinds["probe-s2"]) == ("connectivity-probe", "cold-chain")


def test_adding_keeps_the_others_and_replaces_the_same(ledger: Ledger) -> None:
    """An import replaces entries of the same id and leaves all others."""
    add_registry(ledger, HOME)
    add_registry(ledger, OTHER)
    moved = replace(OTHER.sites["s2"], name_en="Moved", feeder="F7")
    add_registry(ledger, Registry({"s2": moved}, {}))
    now = load_registry(ledger)
    assert now.sites == {**HOME.sites, "s2": moved}
    assert now.devices == {**HOME.devices, **OTHER.devices}
    assert now.province_of("probe-s2") == "LA-VT"


def test_every_change_has_a_version(ledger: Ledger) -> None:
    """The version rises by one with each change, so that ingest knows when to read again."""
    assert registry_version(ledger) == 0
    assert [add_registry(ledger, HOME), add_registry(ledger, OTHER)] == [1, 2]
    assert registry_version(ledger) == 2


def test_what_contradicts_the_registered_is_refused(ledger: Ledger) -> None:
    """A site may not lose the uplink that a registered device uses; nothing is changed."""
    site = HOME.sites["s1"]
    two = replace(site, uplinks=site.uplinks * 2)
    second = Device("second", "s1", "environment", 60.0, 2, {})
    add_registry(ledger, Registry({"s1": two}, {"second": second}))
    with pytest.raises(RegistryError, match="uplink"):
        add_registry(ledger, Registry({**HOME.sites, **OTHER.sites}, {}))
    assert set(load_registry(ledger).sites) == {"s1"}
    assert registry_version(ledger) == 1


def test_numbers_of_series_stay(ledger: Ledger) -> None:
    """A series keeps its number, and a number its series."""
    add_series(ledger, [(0, "probe-s1", "dns_ms"), (1, "probe-s1", "nat_rtt_p50_ms")])
    add_series(ledger, [(2, "tank-s1", "level_m")])
    assert load_series(ledger) == [
        (0, "probe-s1", "dns_ms"),
        (1, "probe-s1", "nat_rtt_p50_ms"),
        (2, "tank-s1", "level_m"),
    ]
    assert series_of(ledger, ["probe-s1", "nobody"]) == [
        (0, "probe-s1", "dns_ms"),
        (1, "probe-s1", "nat_rtt_p50_ms"),
    ]
    assert series_of(ledger, ["nobody"]) == []


def run(directory: Path, *arguments: str) -> int:
    """`govsense registry` on a data directory."""
    return main(["--data-dir", str(directory / "data"), "registry", *arguments])


def loaded(directory: Path) -> Registry:
    """What is registered in a data directory."""
    ledger = open_ledger(f"sqlite:///{directory / 'data' / 'ledger.db'}")
    registry = load_registry(ledger)
    ledger.close()
    return registry


def test_sample_import_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sample country is written, imported and exported without a difference."""
    country, backup = str(tmp_path / "country"), str(tmp_path / "backup")
    assert run(tmp_path, "sample", country) == 0
    assert run(tmp_path, "import", country) == 0
    assert run(tmp_path, "export", backup) == 0
    assert "300 sites and" in capsys.readouterr().out
    assert loaded(tmp_path) == read_registry([Path(backup)]) == national_sample()


def test_a_bad_file_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bad row refuses the whole import; the error names file, line, column and what may be."""
    assert run(tmp_path, "sample", str(tmp_path / "country")) == 0
    devices = tmp_path / "country" / "devices.csv"
    lines = devices.read_text(encoding="utf-8").splitlines()
    cells = lines[3].split(",")
    lines[3] = ",".join([cells[0], "nowhere", *cells[2:]])
    devices.write_text("\n".join(lines), encoding="utf-8")
    capsys.readouterr()
    assert run(tmp_path, "import", str(tmp_path / "country")) == 1
    said = capsys.readouterr()
    assert f"{devices}:4: site: 'nowhere' (allowed: a site of the registry)" in said.err
    assert "nothing was changed; problems: 1" in said.err
    assert loaded(tmp_path) == Registry()


def test_devices_are_imported_onto_registered_sites(tmp_path: Path) -> None:
    """A file of devices alone may name sites that are registered already."""
    country = tmp_path / "country"
    assert run(tmp_path, "sample", str(country)) == 0
    assert run(tmp_path, "import", str(country / "sites.csv")) == 0
    assert loaded(tmp_path).devices == {}
    assert run(tmp_path, "import", str(country / "devices.csv")) == 0
    assert loaded(tmp_path) == national_sample()


@pytest.mark.parametrize("missing", ["nowhere.csv", "nowhere"])
def test_a_missing_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    """A path that does not exist is one clear line and exit code 1."""
    assert run(tmp_path, "import", str(tmp_path / missing)) == 1
    assert missing in capsys.readouterr().err
