"""The world of the API tests over a real InfluxDB, and what that is asked."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devices.readings import Readings
from storage.influx.names import Names
from storage.influx.server import Address, Server
from storage.ledger.migrations import open_ledger
from storage.ledger.series import add_series
from storage.series.levels import LEVELS_MS, RAW
from storage.series.sqlite import SqliteSeries
from storage.series.store import SeriesStore
from tests.api.world import MINUTE_MS, NOW_MS, World, fill, serving
from tests.influx import influxd
from tests.influx.servers import Request, recording

QUESTIONS = ("SHOW MEASUREMENTS", "SHOW SERIES", "SHOW FIELD KEYS", "SELECT count(*) FROM /.*/")
LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")


@dataclass
class Country:
    """The world of the API tests over InfluxDB, what InfluxDB is asked, and its state."""

    world: World
    server: Server
    requests: list[Request] = field(default_factory=list)
    statements: int = 0  # that were checked

    def state(self) -> dict[str, Any]:
        """Everything that a statement of InfluxQL could have changed."""
        found = {"databases": self.server.ask("SHOW DATABASES")}
        for level_ms in (RAW, *LEVELS_MS):
            database = self.server.address.database_of(level_ms)
            for question in QUESTIONS:
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
        self.statements += len(self.requests)
        self.requests.clear()


@contextmanager
def opened_country(influx_url: str, directory: Path) -> Iterator[tuple[Country, World]]:
    """The same readings of a few days in InfluxDB and in SQLite, behind the API each."""
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
