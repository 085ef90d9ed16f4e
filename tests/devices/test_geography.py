"""Provinces and districts of Laos as data."""

from __future__ import annotations

from devices.geography import DISTRICTS, PROVINCES


def test_there_are_18_provinces_and_148_districts() -> None:
    """Every district lies in a province, and every province has districts."""
    assert len(PROVINCES) == 18
    assert len(DISTRICTS) == 148
    assert {province for province, _ in DISTRICTS} == set(PROVINCES)


def test_keys_tell_namesakes_apart() -> None:
    """Two provinces named after Vientiane, and districts of one name, have keys of their own."""
    assert PROVINCES["LA-VT"].name_lo == "ນະຄອນຫຼວງວຽງຈັນ"
    assert PROVINCES["LA-VI"].name_lo == "ວຽງຈັນ"
    assert DISTRICTS["LA-LP", "phonthong"] != DISTRICTS["LA-CH", "phonthong"]


def test_places_are_in_laos() -> None:
    """Points are degrees of latitude and longitude within the country's bounds."""
    provinces = [(province.lat, province.lon) for province in PROVINCES.values()]
    districts = [(district.lat, district.lon) for district in DISTRICTS.values()]
    for lat, lon in provinces + districts:
        assert 13.9 < lat < 22.6
        assert 100.0 < lon < 107.7


def test_the_population_is_the_census_of_2015() -> None:
    """The provinces sum to the census' total."""
    assert sum(province.population_2015 for province in PROVINCES.values()) == 6_492_228


def test_missing_names_are_empty() -> None:
    """A district without a source for its Lao name has none, not an invented one."""
    assert DISTRICTS["LA-VT", "chanthabuly"].name_lo == ""
    assert DISTRICTS["LA-PH", "khua"].name_lo == "ຂວາ"
