"""The API over a real InfluxDB: it answers as over SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from api.telemetry.question import AGGREGATES
from storage.influx.server import Address
from storage.ledger.migrations import open_ledger
from tests.api.world import NOW_MS, World, fill, serving
from tests.influx import influxd
from tests.influx.country import Country
from tests.project.broker import free_port

pytestmark = pytest.mark.influx

FROM, TO = "2026-10-04T14:00:00Z", "2026-10-05T02:00:00Z"


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
