"""The registry's files: read back as written, refused whole with file, line and column."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from devices.registry import Problem, Registry, RegistryError, Uplink
from devices.registry_files import read_registry, write_registry
from tests.devices.registries import a_device, a_site, registries

SITES = """\
site,name_en,name_lo,class,province,district,lat,lon,agency,provider,link_type,\
contracted_down_mbps,contracted_up_mbps,feeder,priority
s1,Khua District Office,ຫ້ອງວ່າການເມືອງຂວາ,office,LA-PH,khua,21.052,102.422,\
Office of the Governor,Unitel,4g,20,10,PH-F1,normal
"""
DEVICES = """\
device,site,kind,interval_s,uplink,params
d1,s1,connectivity-probe,60,1,
"""
YAML = """\
sites:
  - site: s1
    name_en: Khua District Office
    name_lo: ຫ້ອງວ່າການເມືອງຂວາ
    class: office
    province: LA-PH
    district: khua
    lat: 21.052
    lon: 102.422
    agency: Office of the Governor
    provider: Unitel
    link_type: 4g
    contracted_down_mbps: 20
    contracted_up_mbps: 10
    feeder: PH-F1
    priority: ~
devices:
  - {device: d1, site: s1, kind: connectivity-probe, interval_s: 60}
  - device: 007
    site: s1
    kind: water-level
    interval_s: 60
    params: {height_m: 4.0}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a valid sites.csv and devices.csv."""
    (tmp_path / "sites.csv").write_text(SITES, "utf-8")
    (tmp_path / "devices.csv").write_text(DEVICES, "utf-8")
    return tmp_path


def problems_of(*paths: Path) -> list[Problem]:
    """What read_registry says is wrong with these files."""
    with pytest.raises(RegistryError) as caught:
        read_registry(paths)
    return caught.value.problems


@settings(max_examples=50, deadline=None)
@given(registries())
def test_what_is_written_is_read_back(registry: Registry) -> None:
    """Reading the files that a registry was written to gives the same registry."""
    with tempfile.TemporaryDirectory() as directory:
        write_registry(registry, Path(directory))
        assert read_registry([Path(directory)]) == registry


def test_csv_files_are_told_apart_by_their_columns(directory: Path) -> None:
    """Sites and devices are read from two files in any order, or from their directory."""
    expected = Registry({"s1": a_site()}, {"d1": a_device()})
    assert read_registry([directory]) == expected
    assert read_registry([directory / "devices.csv", directory / "sites.csv"]) == expected


def test_one_yaml_file_holds_both(tmp_path: Path) -> None:
    """YAML uses the columns' names; an id is what is written, also where YAML sees a number."""
    file = tmp_path / "registry.yaml"
    file.write_text(YAML, "utf-8")
    registry = read_registry([file])
    assert registry.sites == {"s1": a_site()}
    assert registry.devices == {
        "d1": a_device(),
        "007": a_device("007", kind="water-level", params={"height_m": 4.0}),
    }


def test_extra_columns_spaces_and_a_byte_order_mark_are_no_fault(directory: Path) -> None:
    """A file that a spreadsheet saved, with a column of its own, is read all the same."""
    head, row = SITES.splitlines()
    text = f"{head}, note,,\n{row}, by hand,,\n"
    (directory / "sites.csv").write_text(text, "utf-8-sig")
    assert read_registry([directory]).sites == {"s1": a_site()}


def test_a_second_uplink_is_optional(directory: Path) -> None:
    """The columns that end in 2 give a site its second uplink."""
    head, row = SITES.splitlines()
    head += ",provider2,link_type2,contracted_down_mbps2,contracted_up_mbps2"
    (directory / "sites.csv").write_text(f"{head}\n{row},LaoSat,vsat-geo,,\n", "utf-8")
    (directory / "devices.csv").write_text(DEVICES.replace("60,1", "60,2"), "utf-8")
    registry = read_registry([directory])
    assert registry.sites["s1"].uplinks[1] == Uplink("LaoSat", "vsat-geo", None, None)
    assert registry.devices["d1"].uplink == 2


def test_devices_may_stand_at_sites_that_are_registered_already(directory: Path) -> None:
    """Files are laid over a registry: what they name again is replaced, the rest stays."""
    onto = Registry({"s1": a_site(), "s2": a_site("s2")}, {"d1": a_device(interval_s=300.0)})
    registry = read_registry([directory / "devices.csv"], onto=onto)
    assert set(registry.sites) == {"s1", "s2"}
    assert registry.devices == {"d1": a_device()}
    assert [p.column for p in problems_of(directory / "devices.csv")] == ["site"]


@pytest.mark.parametrize(
    ("old", "new", "line", "column"),
    [
        ("LA-PH", "LA-ZZ", 2, "province"),
        ("21.052", "21,052", 2, ""),
        ("21.052", "north", 2, "lat"),
        ("21.052", "nan", 2, "lat"),
        (",normal", ",urgent", 2, "priority"),
        (",feeder,", ",feedr,", 1, "feeder"),
        (",feeder,", ",feeder,feeder,", 1, "feeder"),
        ("Khua District", '"Khua" District', 2, ""),
    ],
)
def test_a_problem_in_csv_has_its_place(
    directory: Path, old: str, new: str, line: int, column: str
) -> None:
    """Each kind of fault in sites.csv is found at its file, line and column."""
    file = directory / "sites.csv"
    file.write_text(SITES.replace(old, new), "utf-8")
    places = [(p.file, p.line, p.column) for p in problems_of(directory)]
    assert places == [(str(file), line, column)]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("d2,s1,connectivity-probe,,1,", "interval_s"),
        ("d2,s1,connectivity-probe,0x10,1,", "interval_s"),
        ("d2,s1,connectivity-probe,60,3,", "uplink"),
        ("d2,s1,connectivity-probe,60,1,[1]", "params"),
        ("d2,s1,connectivity-probe,60,1,{", "params"),
        ("d1,s1,connectivity-probe,60,1,", "device"),
        ("d2,s9,connectivity-probe,60,1,", "site"),
    ],
)
def test_a_faulty_device_row_is_the_only_problem(directory: Path, row: str, column: str) -> None:
    """A fault in devices.csv is one problem, at its own line."""
    (directory / "devices.csv").write_text(DEVICES + "\n" + row + "\n", "utf-8")
    assert [(p.line, p.column) for p in problems_of(directory)] == [(4, column)]


@pytest.mark.parametrize(
    ("old", "new", "line", "column"),
    [
        ("LA-PH", "LA-ZZ", 6, "province"),
        ("lat: 21.052", "lat: north", 8, "lat"),
        ("    class: office\n", "", 2, "class"),
        ("    class: office\n", "    class: office\n    class: school\n", 6, "class"),
        ("height_m: 4.0", "height_m: [", 23, ""),
        ("{height_m: 4.0}", "!!python/object:os.x {}", 23, "params"),
        ("{height_m: 4.0}", "{1: 2, b: .nan}", 23, "params"),
        ("devices:", "device:", 17, "device"),
        ("devices:", "devices: 3\nmore:", 17, "devices"),
    ],
)
def test_a_problem_in_yaml_has_its_place(
    tmp_path: Path, old: str, new: str, line: int, column: str
) -> None:
    """Each kind of fault in YAML is found at its line and key."""
    file = tmp_path / "registry.yaml"
    file.write_text(YAML.replace(old, new), "utf-8")
    places = [(p.line, p.column) for p in problems_of(file)]
    assert (line, column) in places


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    """A missing file, bytes that are no text, and deep nesting are told, not raised."""
    (tmp_path / "bytes.csv").write_bytes(b"site,name_en\n\xff")
    (tmp_path / "deep.yaml").write_text("[" * 5000, "utf-8")
    found = problems_of(tmp_path / "no.csv", tmp_path / "bytes.csv", tmp_path / "deep.yaml")
    assert [(Path(p.file).name, p.line) for p in found][:2] == [("no.csv", 0), ("bytes.csv", 2)]
    assert len(found) == 3
    assert "no.csv: cannot be read: No such file" in str(found[0])  # no line, no column
    assert "bytes.csv:2: bytes that are not UTF-8" in str(found[1])


@pytest.mark.parametrize(
    ("text", "got"),
    [("", "empty"), (SITES.replace(",", ";"), "separated by ';'"),
     (SITES.replace(",", "\t"), r"separated by '\t'")],
)  # fmt: skip
def test_a_table_without_columns_is_one_problem(tmp_path: Path, text: str, got: str) -> None:
    """An office program may write semicolons; fifteen missing columns would not tell."""
    (tmp_path / "sites.csv").write_text(text, "utf-8")
    assert [(p.line, p.got) for p in problems_of(tmp_path / "sites.csv")] == [(1, got)]


def test_every_problem_of_every_row_is_told_at_once(directory: Path) -> None:
    """An operator sees all faults of both files in one run."""
    (directory / "sites.csv").write_text(SITES.replace("LA-PH", "X").replace("4g", "6g"), "utf-8")
    (directory / "devices.csv").write_text(DEVICES.replace("probe", "prob"), "utf-8")
    columns = [problem.column for problem in problems_of(directory)]
    assert sorted(columns) == ["kind", "link_type", "province"]
    assert f"{directory / 'sites.csv'}:2: link_type: '6g'" in str(problems_of(directory)[1])
