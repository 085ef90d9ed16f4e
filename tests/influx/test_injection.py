"""A parameter is but a value: nothing that is sent to any route becomes a statement of InfluxQL.

The routes and their parameters are those of the OpenAPI document. What InfluxDB is asked is what a
recording server between it and the API saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.readings import Readings
from storage.influx.server import Address, Server
from tests.api.world import World, problem_of
from tests.cases import LONGEST_S, cases
from tests.influx import influxd
from tests.influx.country import Country
from tests.influx.servers import recording

pytestmark = pytest.mark.influx

FROM, TO = "2026-10-04T14:00:00Z", "2026-10-05T02:00:00Z"
HOSTILE = [
    "'; DROP DATABASE govsense; --",
    '"; DROP MEASUREMENT "connectivity-probe"; --',
    "p0' OR '1'='1",
    "p0' OR device =~ /.*/ --",
    'dns_ms" FROM /.*/ --',
    "/.*/",
    "*",
    "$device",
    "dns_ms; DELETE FROM /.*/",
    "dns_ms INTO evil",
    "1m) fill(0); DROP SERIES FROM /.*/; --",
    "mean(dns_ms), mean",
    "p0\\' OR 1=1 --",
    "p0\\",
    "p0\n; DROP DATABASE x",
    "\x00'",
    "/* */ p0",
    "\u02bc; DROP DATABASE govsense",  # quotation marks that a server may fold to '
    "\uff07 OR 1=1",
    "2026-10-05T00:00:00Z' OR time > '1970-01-01",
    "now() - 1h",
    "1h; SELECT 1",
    "p0%27%3B%20DROP%20DATABASE%20x",
    '{"device":"p0"}',
    "lag_ms",
    "dns_ms_count",
    "x 1790000000000000000\npower,device=evil mains_v=1",
    "'",
    '"',
    "\\",
    ";",
    "--",
    "\r\n",
    "\u2019; DROP DATABASE govsense \u2013\u2013",
    "',now()) OR ('",
    'connectivity-probe" WHERE time > 0 GROUP BY * --',
]

STREAM = "/api/v1/events"
PLACES = {"device": "p0", "site": "office", "alert": "a001", "incident": "i1", "id": "1"}
RANGE = {"from": FROM, "to": TO}
# Good ones beside the hostile one, for every way in which telemetry is read.
TELEMETRY: tuple[dict[str, str], ...] = (
    RANGE,
    RANGE | {"bucket": "1h", "agg": "mean,p95"},
    RANGE | {"bucket": "1d", "format": "csv"},
    RANGE | {"points": "50"},
    RANGE | {"bucket": "5m", "format": "parquet", "metric": "dns_ms"},
)
WAYS: dict[str, tuple[dict[str, str], ...]] = {
    "/api/v1/telemetry": tuple({"device": "p0,n0"} | way for way in TELEMETRY),
    "/api/v1/devices/{device}/telemetry": TELEMETRY,
    "/api/v1/telemetry/latest": ({}, {"format": "csv"}, {"format": "parquet"}),
    "/api/v1/sites": ({}, {"format": "csv"}, {"format": "geojson"}),
    "/api/v1/reports/connectivity": ({}, {"format": "csv"}, {"format": "html"}),
}
STEP = cases(6, 1)  # of HOSTILE, in most places
ASKING = [path for path in WAYS if "telemetry" in path and "latest" not in path]


class Route(NamedTuple):
    """A route of the document: its parameters by place, and the example of its body."""

    method: str
    path: str
    parameters: dict[str, list[str]]  # names, by path, query, header
    body: dict[str, Any] | None


@pytest.fixture(scope="module")
def routes(country: tuple[Country, World]) -> list[Route]:
    """All of them."""
    document = country[0].world.get("/openapi.json")
    schemas = document["components"]["schemas"]
    found = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            places: dict[str, list[str]] = {"path": [], "query": [], "header": []}
            for parameter in operation.get("parameters", ()):
                places[parameter["in"]].append(parameter["name"])
            content = operation.get("requestBody", {}).get("content", {})
            bodies = [schemas[one["schema"]["$ref"].split("/")[-1]] for one in content.values()]
            body = bodies[0]["examples"][0] if bodies else None
            found.append(Route(method.upper(), path, places, body))
    return found


class Sent(NamedTuple):
    """One request to a route."""

    place: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


def ask(country: Country, route: Route, sent: Sent) -> int:
    """The status of an answer that is no fault of ours; InfluxDB was asked, if anything."""
    named = {name: quote(value, safe="") for name, value in (PLACES | sent.place).items()}
    query = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in sent.query.items())
    url = f"{route.path.format(**named)}?{query}"
    headers = {name: value.encode() for name, value in sent.headers.items()}
    body = {"json": sent.body} if route.method == "POST" else {}
    client = country.world.client
    with client.stream(route.method, url, headers=headers, **body) as answer:  # type: ignore[arg-type]
        assert answer.status_code < 500, (route.method, url, sent, answer.read())
        if route.path != STREAM or answer.status_code != 200:  # else it does not end
            answer.read()
        if answer.status_code >= 400:
            problem_of(answer, answer.status_code)
    country.check_requests()
    return answer.status_code


def hostile(route: Route) -> Iterator[Sent]:
    """Texts in each parameter, as the name of one, and in each part of a body.

    All texts beside the most telling good values; else each place has its share of them.
    """
    places = [(where, name) for where, names in route.parameters.items() for name in names]
    places += [("name", ""), *(("body", str(n)) for n, _ in enumerate(spoilt(route.body, "")))]
    for way in WAYS.get(route.path, ({},)):
        step = 1 if route.path in ASKING and "agg" in way else STEP
        for n, (where, name) in enumerate(places):
            for text in HOSTILE[n % step :: step]:
                if where != "header" or text.isprintable():  # others are no header
                    yield put(Sent({}, way, {}, route.body), where, name, text)


def put(good: Sent, where: str, name: str, text: str) -> Sent:
    """A good request with a text in one place."""
    if where == "path":
        return good._replace(place={name: text})
    if where == "header":
        return good._replace(headers={name: text})
    if where == "body":
        return good._replace(body=list(spoilt(good.body, text))[int(name)])
    added = {name: text} if where == "query" else {text: "1"}
    return good._replace(query=good.query | added)


def spoilt(body: Any, text: str) -> Iterator[Any]:
    """A body with a text in the place of each value, at any depth, and as the name of one more."""
    if body is None:
        return
    if isinstance(body, dict):
        yield {**body, text: text}
        for name, value in body.items():
            yield from ({**body, name: other} for other in spoilt(value, text))
    yield text


@pytest.mark.timeout(LONGEST_S)
def test_hostile_texts_stay_values_on_every_route(
    country: tuple[Country, World], routes: list[Route]
) -> None:
    """Nothing is written, nothing else is asked, and never more than one statement at once."""
    here = country[0]
    places = {"window": here.world.items("/windows")[0]["window"]}
    asked = dict.fromkeys((route.path for route in routes), 0)
    for route in routes:
        before = here.state()
        for sent in hostile(route):
            ask(here, route, sent._replace(place=places | sent.place))
            asked[route.path] += 1
        assert here.state() == before, route
    assert all(asked.values())
    print(f"\n{sum(asked.values())} requests, {here.statements} statements")


@pytest.mark.parametrize("path", ASKING)
def test_what_is_asked_for_with_good_values_is_asked(
    country: tuple[Country, World], routes: list[Route], path: str
) -> None:
    """So that a hostile value is next to values that lead to statements."""
    here = country[0]
    (route,) = (route for route in routes if route.path == path)
    for way in WAYS[path]:
        seen = here.statements
        assert ask(here, route, Sent({}, way, {}, None)) == 200
        assert here.statements > seen, way


values = st.sampled_from(
    [*HOSTILE, FROM, TO, "p0", "1h", "5m", "mean", "p95", "dns_ms", "9", "csv"]
)
values |= st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_values_ask_one_statement_and_write_nothing(
    country: tuple[Country, World], routes: list[Route], data: st.DataObject
) -> None:
    """Any text in any of the parameters of the paths that ask InfluxDB."""
    route = data.draw(st.sampled_from([route for route in routes if route.path in ASKING]))
    known = route.parameters["query"]
    names = data.draw(st.lists(st.sampled_from(known), unique=True, max_size=5))
    chosen = WAYS[route.path][0] | {name: data.draw(values) for name in names}
    ask(country[0], route, Sent({}, chosen, {}, None))


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_devices_in_a_path_are_unknown(country: tuple[Country, World], text: str) -> None:
    """A device that is not registered is never asked for."""
    before = country[0].state()
    for path in ("/devices/{}/telemetry", "/devices/{}/latest"):
        answer = country[0].world.client.get("/api/v1" + path.format(quote(text, safe="")))
        assert answer.status_code in (404, 422), answer.text
    assert country[0].requests == []
    assert country[0].state() == before


def test_nothing_was_written_by_all_of_them(country: tuple[Country, World]) -> None:
    """What InfluxDB holds is what was written to it before the first request."""
    state = country[0].state()
    counts = [
        count
        for question, result in state.items()
        if question.startswith("SELECT") and "series" in result
        for series in result["series"]
        for row in series["values"]
        for count in row[1:]
    ]
    assert sum(counts) > 4 * 12 * 60 * 0.85
    assert not any("evil" in str(result) for result in state.values())


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_names_of_devices_are_bound(
    influx_url: str, address: Address, tmp_path: Path, text: str
) -> None:
    """Were a device ever named so, its series and no other would be read, by one statement."""
    device = text or "x"
    original = influxd.describe

    def describe(number: int) -> Any:
        name = original(0)
        return name._replace(device=device if number == 0 else "p0")

    with recording(influx_url) as (url, requests):
        through = Address(url, address.database, address.org, address.token_file)
        with (
            influxd.opened(address, tmp_path / "w.db", describe=describe) as store,
            influxd.opened(through, tmp_path / "r.db", describe=describe) as read,
        ):
            base = influxd.BASE
            written = Readings.of([0, 1], [base, base], [base, base], [1.0, 2.0])
            store.series.write(written, first=0, last=1)
            store.drain()
            with closing(Server(address)) as server:
                country = Country(World(None, read.series), server, requests)  # type: ignore[arg-type]
                before = country.state()
                assert [row.value for row in read.series.rows([0], 0, 2 * base, limit=9)] == [1.0]
                assert read.series.latest([0]) == {0: (base, 1.0)}
                (bucket,) = read.series.buckets(
                    [0], base, base + 1, bucket_ms=60_000, interval_ms=60_000, p95=True
                )
                assert (bucket.count, bucket.p95) == (1, 1.0)
                assert len(read.series.edges([0], base, base + 1)) == 1
                country.check_requests()
                assert country.state() == before
