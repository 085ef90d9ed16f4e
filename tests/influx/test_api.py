"""The API over a real InfluxDB: it answers as over SQLite, and a parameter is but a value."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.telemetry.question import AGGREGATES
from devices.readings import Readings
from storage.influx.names import Names
from storage.influx.server import Address, Server
from storage.ledger.migrations import open_ledger
from storage.ledger.series import add_series
from storage.series.levels import LEVELS_MS, RAW
from storage.series.sqlite import SqliteSeries
from storage.series.store import SeriesStore
from tests.api.world import MINUTE_MS, NOW_MS, World, fill, problem_of, serving
from tests.influx import influxd
from tests.influx.servers import Request, recording
from tests.project.broker import free_port

pytestmark = pytest.mark.influx

FROM, TO = "2026-10-04T14:00:00Z", "2026-10-05T02:00:00Z"
TELEMETRY = ("from", "to", "metric", "bucket", "agg", "points", "limit", "cursor", "format", "bom")
PARAMETERS = {
    "/telemetry": ("device", *TELEMETRY),
    "/devices/p0/telemetry": TELEMETRY,
    "/telemetry/latest": (
        *("province", "district", "site", "agency", "kind", "metric", "limit", "cursor", "format"),
    ),
}
NEEDED = {"device": "p0", "from": FROM, "to": TO, "bucket": "1h", "agg": "mean"}
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
]
LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


@dataclass
class Country:
    """The world of the API tests over InfluxDB, what InfluxDB is asked, and its state."""

    world: World
    server: Server
    requests: list[Request] = field(default_factory=list)

    def state(self) -> dict[str, Any]:
        """Everything that a statement of InfluxQL could have changed."""
        found = {"databases": self.server.ask("SHOW DATABASES")}
        for level_ms in (RAW, *LEVELS_MS):
            database = self.server.address.database_of(level_ms)
            for question in ("SHOW SERIES", "SHOW FIELD KEYS", "SELECT count(*) FROM /.*/"):
                found[f"{question} {database}"] = self.server.ask(question, database=database)
        return found

    def check_requests(self) -> None:
        """All that was asked were questions, one statement each, and InfluxDB saw one."""
        for request in self.requests:
            assert (request.method, request.path) == ("POST", "/query"), request
            rest = LITERAL.sub("", request.asked["q"])
            assert ";" not in rest, request
            assert re.fullmatch(r"SELECT (?!.*\bINTO\b).*", rest, re.DOTALL), request
            assert "SELECT" not in rest[1:], request
            assert request.statements == 1, request
        self.requests.clear()


@pytest.fixture(scope="module")
def country(
    influx_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Country, World]]:
    """The same readings of a few days in InfluxDB and in SQLite, behind the API each."""
    directory = tmp_path_factory.mktemp("country")
    ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
    names = Names(ledger)
    with (
        closing(SqliteSeries.open(directory / "series.db")) as file,
        influxd.database(influx_url, directory) as address,
        recording(influx_url) as (recorded_url, requests),
        influxd.opened(address, directory / "w.db", now_ms=NOW_MS, describe=names) as store,
        influxd.opened(
            Address(recorded_url, address.database, address.org, address.token_file),
            directory / "r.db", now_ms=NOW_MS, describe=names,
        ) as read,
        closing(Server(address)) as server,
    ):  # fmt: skip
        fill(ledger, file, store.series)
        add_series(ledger, [(3, "n0", "dns_ms"), (4, "n0", "nat_rtt_p50_ms")])
        write_hours((file, store.series))
        store.drain()
        file.roll_up(NOW_MS, budget_s=60)
        over_file, over_influx = World(ledger, file), World(ledger, read.series)
        with serving(over_file), serving(over_influx):
            yield Country(over_influx, server, requests), over_file
    ledger.close()


def write_hours(stores: tuple[SeriesStore, ...]) -> None:
    """Twelve hours of minutes of two devices, with gaps and extremes."""
    rng = random.Random(3)
    for number in (0, 1, 3, 4):
        at_ms = [NOW_MS - n * MINUTE_MS for n in range(1, 12 * 60) if rng.random() > 0.1]
        values = [rng.choice([0.0, 1.0, 1e6]) + rng.uniform(-40, 40) for _ in at_ms]
        readings = Readings.of([number] * len(at_ms), at_ms, [at + 250 for at in at_ms], values)
        for store in stores:
            store.write(readings, first=number, last=number + 1)


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 900},
        {"metric": "dns_ms", "limit": 7, "from": "2026-10-05T01:30:00Z"},
        *({"bucket": bucket, "agg": ",".join((*AGGREGATES, "p95"))}
          for bucket in ("1m", "7m", "5m", "1h", "90m", "1d", "auto")),
        *({"points": points} for points in (2, 10, 500, 5000)),
    ],
    ids=str,
)  # fmt: skip
def test_influxdb_answers_as_sqlite_does(
    country: tuple[Country, World], asked: dict[str, Any]
) -> None:
    """Raw, in buckets, as chart: the same rows; a mean may differ in its last digits."""
    over_influx, over_file = country[0].world, country[1]
    question = {"device": "p0,n0", "from": FROM, "to": TO} | asked
    found = over_influx.items("/telemetry", **question)
    wanted = over_file.items("/telemetry", **question)
    assert len(found) > 4
    means = [[row.pop("mean", 0.0) for row in rows] for rows in (found, wanted)]
    assert found == wanted
    assert means[0] == pytest.approx(means[1], rel=1e-12)
    country[0].check_requests()


@pytest.mark.parametrize("format_", ["json", "csv", "parquet"])
def test_an_influxdb_that_is_away_is_a_503(tmp_path: Path, format_: str) -> None:
    """Also where the answer would be streamed: nothing is sent before the first rows are there."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    address = Address(f"http://127.0.0.1:{free_port()}")
    with influxd.opened(address, tmp_path / "spool.db", now_ms=NOW_MS) as store:
        fill(ledger, store.series)
        world = World(ledger, store.series)
        with serving(world):
            world.problem(503, "/devices/p0/telemetry", format=format_)
            assert len(world.items("/telemetry/latest")) == 5  # is in the ledger
    ledger.close()


def ask(country: Country, path: str, query: str) -> None:
    """GET it: a success or a problem of the caller's, of questions that are one statement each."""
    answer = country.world.client.get(f"/api/v1{path}?{query}")
    if answer.status_code != 200:
        assert 400 <= answer.status_code < 500, (path, query, answer.text)
        problem_of(answer, answer.status_code)
    country.check_requests()


@pytest.mark.parametrize("path", PARAMETERS)
def test_hostile_values_stay_values(country: tuple[Country, World], path: str) -> None:
    """In every parameter beside good ones: nothing is written, nothing else is asked."""
    before = country[0].state()
    for name in PARAMETERS[path]:
        for text in HOSTILE:
            others = {other: good for other, good in NEEDED.items() if other in PARAMETERS[path]}
            asked = "&".join(f"{n}={quote(v)}" for n, v in {**others, name: text}.items())
            ask(country[0], path, asked)
    assert country[0].state() == before


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_devices_in_a_path_are_unknown(country: tuple[Country, World], text: str) -> None:
    """A device that is not registered is never asked for."""
    before = country[0].state()
    for path in ("/devices/{}/telemetry", "/devices/{}/latest"):
        answer = country[0].world.client.get("/api/v1" + path.format(quote(text, safe="")))
        assert answer.status_code in (404, 422), answer.text
    assert country[0].requests == []
    assert country[0].state() == before


values = st.sampled_from([*HOSTILE, *NEEDED.values(), "5m", "p95", "dns_ms", "9", "csv"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=30
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_values_ask_one_statement_and_write_nothing(
    country: tuple[Country, World], data: st.DataObject
) -> None:
    """Any text in any of the parameters of the paths that ask InfluxDB."""
    path = data.draw(st.sampled_from(sorted(PARAMETERS)))
    names = data.draw(st.lists(st.sampled_from(PARAMETERS[path]), unique=True, max_size=5))
    chosen = {name: data.draw(values) for name in names}
    if path == "/telemetry":
        chosen.setdefault("device", "p0,n0")
    ask(country[0], path, "&".join(f"{name}={quote(text)}" for name, text in chosen.items()))


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
