"""Formats: which one is answered, and that each is true to its standard and to the JSON."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.tables import Table, csv_chunks, parquet_chunks
from devices.readings import Readings
from devices.registry import Registry
from reports.spreadsheets import safe_text
from storage.ledger.registry import add_registry
from tests.api.world import DAY_MS, NOW_MS, RTT, World, problem_of, registry

TELEMETRY = "/api/v1/devices/p0/telemetry"
RANGE = {"from": "2026-10-05T00:00:00Z", "to": "2026-10-05T02:00:00Z"}
PARQUET = "application/vnd.apache.parquet"


def table_of(answer: httpx.Response) -> list[dict[str, str]]:
    """The rows of a CSV."""
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV;q=0.5", "text/csv"),
        ("text/*, application/json;q=0.9", "text/csv"),
        ("text/csv;q=0.1, application/json;q=0.2", "application/json"),
        (PARQUET, PARQUET),
        ("application/*;q=0.5, application/json;q=0", PARQUET),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv;q=high, */*;q=0.1", "application/json"),
    ],
)
def test_accept_chooses_the_format(world: World, accept: str | None, found: str) -> None:
    """The one that is wanted most; of equals JSON first; caches are told what decided."""
    headers = {"Accept": accept} if accept else {"Accept": ""}
    answer = world.client.get(TELEMETRY, headers=headers)
    assert answer.headers["content-type"].partition(";")[0] == found
    assert "Accept" in answer.headers["vary"].split(", ")


def test_format_decides_over_accept(world: World) -> None:
    """A link with `format` works in a browser, whatever that accepts."""
    answer = world.client.get(f"{TELEMETRY}?format=csv", headers={"Accept": "application/json"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="telemetry.csv"'


@pytest.mark.parametrize("path", [TELEMETRY, "/api/v1/telemetry/latest", "/api/v1/sites"])
def test_a_format_that_there_is_not_is_refused(world: World, path: str) -> None:
    """406 says which formats there are."""
    problem = problem_of(world.client.get(path, headers={"Accept": "image/png"}), 406)
    (error,) = problem["errors"]
    assert "text/csv" in error["allowed"]


def test_csv_and_parquet_hold_what_json_holds(world: World) -> None:
    """The same rows in the same order, times in UTC."""
    asked = {**RANGE, "bucket": "10m", "agg": "count,mean,p95"}
    items = world.items("/telemetry", device="p0,n0", from_=RANGE["from"], to=RANGE["to"],
                        bucket="10m", agg="count,mean,p95")  # fmt: skip
    asked["device"] = "p0,n0"
    rows = table_of(world.client.get("/api/v1/telemetry", params={**asked, "format": "csv"}))
    assert [{**row, "count": int(row["count"]), "mean": float(row["mean"]),
             "p95": float(row["p95"])} for row in rows] == items  # fmt: skip
    answer = world.client.get("/api/v1/telemetry", params=asked, headers={"Accept": PARQUET})
    table = pq.read_table(io.BytesIO(answer.content))
    assert pa.types.is_dictionary(table.schema.field("device").type)
    assert pa.types.is_dictionary(table.schema.field("metric").type)
    assert table.schema.field("at").type == pa.timestamp("ms", tz="UTC")
    found = [
        {**row, "at": row["at"].isoformat(timespec="milliseconds").replace("+00:00", "Z")}
        for row in table.to_pylist()
    ]
    assert found == items


def test_the_byte_order_mark_is_there_on_request(world: World) -> None:
    """Excel needs it to read Lao; programs do not want it."""
    with_bom = world.client.get("/api/v1/sites?format=csv&bom=true").content
    without = world.client.get("/api/v1/sites?format=csv").content
    assert with_bom == b"\xef\xbb\xbf" + without
    assert "ຫ້ອງການ".encode() in without


def test_lines_of_csv_end_as_rfc_4180_asks(world: World) -> None:
    """CR LF, and no line without."""
    content = world.client.get(f"{TELEMETRY}?format=csv").content
    assert content.count(b"\n") == content.count(b"\r\n") == 121


def test_no_cell_is_a_formula(own_world: World) -> None:
    """A name that a spreadsheet would run is made text; a negative number stays a number."""
    country = registry()
    office = country.sites["office"]
    names = {"evil": '=HYPERLINK("http://x","y")', "at": "@SUM(1)", "tab": "\t=1", "dash": "-1+1"}
    sites = {
        name: replace(office, site=name, name_en=text, lat=-1.5) for name, text in names.items()
    }
    add_registry(own_world.ledger, Registry(sites, {}))
    rows = {row["site"]: row for row in
            table_of(own_world.client.get("/api/v1/sites?format=csv"))}  # fmt: skip
    assert {name: rows[name]["name_en"] for name in names} == {
        name: f"'{text}" for name, text in names.items()
    }
    assert rows["evil"]["lat"] == "-1.5"
    assert (rows["office"]["provider"], rows["office"]["provider2"]) == ("LTC", "")


@given(st.text(max_size=20))
def test_any_text_survives_csv_and_never_begins_a_formula(text: str) -> None:
    """RFC 4180 quoting is undone by any reader; all that is added is the quotation mark."""
    written = b"".join(csv_chunks(Table("t", {"a": "text", "b": "number"}, [[(text, 1.0)]]),
                                  bom=False))  # fmt: skip
    _, (cell, number) = csv.reader(io.StringIO(written.decode("utf-8"), newline=""))
    assert (cell, number) == (safe_text(text), "1.0")
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.removeprefix("'") == text.removeprefix("'")


def test_parquet_is_written_piece_by_piece() -> None:
    """Each batch leaves when the next one is read: memory does not grow with the table."""
    read = []

    def batches() -> Any:
        for n in range(5):
            read.append(n)
            yield [("a", n * 1000 + m, float(m)) for m in range(1000)]

    columns: Any = {"device": "label", "at": "time", "value": "number"}
    chunks = parquet_chunks(Table("t", columns, batches()))
    first = next(chunks)
    assert read == [0, 1]
    table = pq.read_table(io.BytesIO(first + b"".join(chunks)))
    assert table.num_rows == 5000
    assert table.column("at").to_pylist()[-1].microsecond == 999_000


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_a_long_range_is_streamed_whole(own_world: World, format_: str) -> None:
    """More readings than a page are one answer, in order, none twice."""
    count = 25_000
    at_ms = [NOW_MS - 40 * DAY_MS + n * 60_000 for n in range(count)]
    own_world.series.write(
        Readings.of([RTT] * count, at_ms, at_ms, [float(n) for n in range(count)]),
        first=240, last=241,
    )  # fmt: skip
    asked = {"from": "2026-08-26T00:00:00Z", "to": "2026-09-20T00:00:00Z",
             "metric": "nat_rtt_p50_ms", "format": format_}  # fmt: skip
    answer = own_world.client.get(TELEMETRY, params=asked)
    assert "etag" not in answer.headers
    if format_ == "csv":
        values = [float(row["value"]) for row in table_of(answer)]
    else:
        values = pq.read_table(io.BytesIO(answer.content)).column("value").to_pylist()
    first = values[0]
    assert values == [first + n for n in range(len(values))]
    assert len(values) > 20_000


def test_an_export_without_rows_has_its_columns(world: World) -> None:
    """A device that never reported gives an empty table, not nothing."""
    assert world.client.get("/api/v1/devices/n0/telemetry?format=csv").text == (
        "device,metric,at,received_at,value\r\n"
    )
    empty = world.client.get("/api/v1/devices/n0/telemetry?format=parquet").content
    assert pq.read_table(io.BytesIO(empty)).column_names[0] == "device"


def test_sites_are_features_of_geojson(own_world: World) -> None:
    """RFC 7946: longitude first, null where the place is not known."""
    nowhere = replace(registry().sites["office"], site="nowhere", lat=None, lon=None)
    add_registry(own_world.ledger, Registry({"nowhere": nowhere}, {}))
    answer = own_world.client.get("/api/v1/sites", headers={"Accept": "application/geo+json"})
    assert answer.headers["content-type"] == "application/geo+json"
    collection = answer.json()
    assert (collection["type"], collection["next"]) == ("FeatureCollection", None)
    features = {feature["id"]: feature for feature in collection["features"]}
    assert features["office"]["geometry"] == {"type": "Point", "coordinates": [102.1, 19.9]}
    assert features["nowhere"]["geometry"] is None
    for feature in features.values():
        assert feature["type"] == "Feature"
        assert feature["properties"]["province"] in ("LA-LP", "LA-VT")


def test_pages_of_geojson_follow_each_other(world: World) -> None:
    """`next` of the collection is the cursor of the next page."""
    first = world.get("/sites", format="geojson", limit=1)
    second = world.get("/sites", format="geojson", limit=1, cursor=first["next"])
    assert [f["id"] for page in (first, second) for f in page["features"]] == ["clinic", "office"]
    assert second["next"] is None
