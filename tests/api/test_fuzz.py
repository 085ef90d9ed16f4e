"""Any input at all: never a 500, always a problem."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api.world import World, problem_of

times = st.sampled_from(
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999Z",
     "9999-12-31T23:59:59-14:00", "1970-01-01T00:00:00Z", "2999-12-31T00:00:00Z",
     "1969-12-31T23:59:59Z", "2026-10-05", "2026-10-05T25:00:00Z", "2026-W41-1T00:00Z",
     "2026-10-05T00:00:00", "2026-10-05T00:00:00Z", "2026-10-05T02:00:00Z",
     "2026-10-05T01:00:00.123456789Z", "2026-10-05T00:00:00+99:99", "-1", "1e9", "now"]
)  # fmt: skip
words = st.sampled_from(
    ["", "p0", "LA-LP", "open", "firing", "null", "0", "-1", "1", "10", "1000", "10001",
     "9" * 30, "9" * 5000, "1e308", "NaN", "-0", "0x10", "1.0", "५", "5m", "1d", "1s", "999999d",
     "999999s", "mean", "coverage", "p95", "auto", "csv", "parquet", "2026-10", "2026", "html",
     "lo", "working-hours", "geojson", "true", "2", "p0,n0", "dns_ms", "dns_ms,dns_ms", ",", "%",
     "'", '" OR 1=1 --', "\x00", "\r\n", "ຫ້ອງ", "\U0001f4a5", "../..", "AAAA", "W10", "W10K",
     "x" * 3000]
)  # fmt: skip
values = times | words | st.text(max_size=20)
names = st.sampled_from(
    ["from", "to", "metric", "bucket", "agg", "limit", "cursor", "state", "severity", "province",
     "site", "device", "kind", "lifecycle", "reason", "class", "agency", "district", "cause",
     "scope", "text", "rule", "incident", "status", "id", "points", "format", "bom", "period",
     "calendar", "lang", "revision", "provider"]
) | st.text(max_size=8)  # fmt: skip
paths = st.sampled_from(
    ["/telemetry", "/telemetry/latest", "/windows", "/windows/{}", "/alerts", "/alerts/{}",
     "/incidents", "/incidents/{}", "/sites/office/availability",
     "/sites/{}/availability", "/quarantine", "/quarantine/{}",
      "/enrolment", "/enrolment/{}", "/devices", "/devices/{}",
     "/devices/{}/latest", "/devices/{}/telemetry", "/devices/p0/telemetry",
     "/devices/p0/accounting", "/accounting", "/sites", "/sites/{}", "/districts", "/provinces",
     "/kinds", "/stats", "/ready", "/reports/connectivity",
     "/reports/connectivity/revisions", "/reports/rollout"]
)  # fmt: skip


@pytest.fixture(scope="module")
def parameters(world: World) -> dict[str, list[str]]:
    """The parameters of every path, by its template."""
    document = world.get("/openapi.json")
    return {
        path.removeprefix("/api/v1"): [
            parameter["name"]
            for parameter in methods["get"].get("parameters", [])
            if parameter["in"] == "query"
        ]
        for path, methods in document["paths"].items()
        if "get" in methods
    }


def ask(world: World, path: str, query: str) -> None:
    """GET it; the answer is a success or a problem that is the caller's."""
    answer = world.client.get(f"/api/v1{path}?{query}")
    if answer.status_code != 200:
        assert 400 <= answer.status_code < 500, (path, query, answer.text)
        problem_of(answer, answer.status_code)


@settings(max_examples=300, deadline=None)
@given(path=paths, place=values, query=st.lists(st.tuples(names, values), max_size=4))
def test_no_query_is_our_fault(
    world: World, path: str, place: str, query: list[tuple[str, str]]
) -> None:
    """Any names with any values on any path."""
    asked = "&".join(f"{quote(name)}={quote(value)}" for name, value in query)
    ask(world, path.format(quote(place, safe="")), asked)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_value_of_a_known_parameter_is_our_fault(
    world: World, parameters: dict[str, list[str]], data: st.DataObject
) -> None:
    """Parameters that the path has, with values from the edges of what is possible."""
    path = data.draw(st.sampled_from([p for p, known in sorted(parameters.items()) if known]))
    if path == "/events":
        path = "/alerts"
    known = data.draw(st.lists(st.sampled_from(parameters[path]), unique=True, max_size=5))
    asked = "&".join(f"{name}={quote(data.draw(values))}" for name in known)
    ask(world, path.format(device="p0", site="office", alert="a001", id="1"), asked)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40), st.sampled_from(["cursor", "device", "from", "state"]))
def test_no_bytes_in_a_query_are_our_fault(world: World, value: bytes, name: str) -> None:
    """Percent-encoded bytes that are no UTF-8."""
    ask(world, "/alerts", f"{name}={quote_from_bytes(value)}")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(body=st.dictionaries(st.sampled_from(["by", "comment", "x"]), json_values) | json_values)
def test_no_body_is_our_fault(world: World, body: Any) -> None:
    """Any JSON in an acknowledgement of an alert that is resolved already."""
    answer = world.client.post(
        "/api/v1/alerts/a005/acknowledge",
        content=_json(body),
        headers={"content-type": "application/json"},
    )
    problem_of(answer, answer.status_code)
    assert answer.status_code in (400, 409, 422)


def _json(body: Any) -> bytes:
    return json.dumps(body).encode("utf-8", "surrogatepass")
