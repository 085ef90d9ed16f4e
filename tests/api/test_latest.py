"""The newest readings of many devices in one call."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from sqlalchemy import event

from tests.api.world import World

PATH = "/telemetry/latest"


def test_a_province_is_answered_whole(world: World) -> None:
    """Each device with its place, its lifecycle and its newest readings; unheard ones have none."""
    silent, heard = world.items(PATH, province="LA-LP")
    assert silent["device"] == "n0"
    assert (silent["lifecycle"], silent["last_seen"], silent["readings"]) == (
        "registered",
        None,
        [],
    )
    assert heard == {
        "device": "p0", "site": "office", "province": "LA-LP", "kind": "connectivity-probe",
        "lifecycle": "active", "last_seen": "2026-10-05T01:59:00.000Z",
        "readings": [
            {"metric": "dns_ms", "unit": "ms", "at": "2026-10-05T01:59:00.000Z", "value": 100.0},
            {"metric": "nat_rtt_p50_ms", "unit": "ms", "at": "2026-10-05T01:59:00.000Z",
             "value": 9.0},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["c0", "n0", "n1", "old", "p0"]),
        ({"province": "LA-VT"}, ["c0", "n1", "old"]),
        ({"site": "office"}, ["n0", "p0"]),
        ({"agency": "Health"}, ["c0", "n1", "old"]),
        ({"agency": "Interior", "kind": "environment"}, []),
        ({"kind": "environment"}, ["n1", "old"]),
        ({"district": "chanthabuly", "kind": "cold-chain"}, ["c0"]),
    ],
)
def test_filters_choose_devices(world: World, asked: dict[str, str], found: list[str]) -> None:
    """By province, district, site, agency and kind; the same in pages and in a table."""
    assert [item["device"] for item in world.items(PATH, **asked)] == found
    assert [item["device"] for item in world.items(PATH, limit=2, **asked)] == found
    text = world.client.get(f"/api/v1{PATH}", params={**asked, "format": "csv"}).text
    named = [row["device"] for row in csv.DictReader(io.StringIO(text))]
    assert list(dict.fromkeys(named)) == found


def test_a_table_has_a_row_for_each_reading(world: World) -> None:
    """And one without a metric for a device that never said anything: it is not left out."""
    answer = world.client.get(f"/api/v1{PATH}?province=LA-LP&format=csv&metric=dns_ms")
    assert answer.text.split("\r\n") == [
        "device,site,province,kind,lifecycle,last_seen,metric,unit,at,value",
        "n0,office,LA-LP,connectivity-probe,registered,,,,,",
        "p0,office,LA-LP,connectivity-probe,active,2026-10-05T01:59:00.000Z,"
        "dns_ms,ms,2026-10-05T01:59:00.000Z,100.0",
        "",
    ]


def test_one_query_answers_for_any_number_of_devices(own_world: World) -> None:
    """The ledger is asked once, not once for each device."""
    asked: list[str] = []

    def note(*facts: Any) -> None:
        asked.append(facts[2])

    engine = own_world.ledger.engine
    event.listen(engine, "before_cursor_execute", note)
    own_world.get(PATH)
    event.remove(engine, "before_cursor_execute", note)
    assert len([statement for statement in asked if "device_states" in statement]) == 1


@pytest.mark.parametrize(
    ("asked", "field", "hint"),
    [
        ({"province": "LA-XX"}, "province", "LA-LP"),
        ({"kind": "cold-chains"}, "kind", "did you mean cold-chain?"),
        ({"metric": "dns"}, "metric", "did you mean dns_ms?"),
        ({"limit": "5001"}, "limit", "at most 5000"),
        ({"format": "xml"}, "format", "'json', 'csv' or 'parquet'"),
        ({"bom": "true"}, "bom", "format=csv"),
        ({"format": "csv", "cursor": "AAAA"}, "cursor", "JSON"),
    ],
)
def test_what_cannot_be_answered_says_why(
    world: World, asked: dict[str, str], field: str, hint: str
) -> None:
    """A refused parameter is named with its reason and what is allowed."""
    (error,) = world.problem(422, PATH, **asked)["errors"]
    assert error["field"] == field
    assert hint in f"{error['reason']} {error['allowed']}"
