"""Windows and actions through the real processes: what operators say, ingest goes by at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from api.times import iso, parse_time
from detection.outages import Bin
from devices.registry_files import write_registry
from storage.ledger import events
from storage.ledger.actions import Deed
from storage.ledger.bins import bins_of
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.windows import approve
from tests.path.platform import Platform, one_office, reading, running
from tests.project.broker import Client, wait_for

pytestmark = pytest.mark.mosquitto

P0 = "gov/v1/LA-LP/p0/telemetry"
START, SPEED = "2026-10-05T00:00:00Z", 60  # a bin takes five seconds
MINUTE_MS, BIN_MS, HOUR_MS = 60_000, 300_000, 3_600_000
CLOSING = {"reason": "known-problem", "text": "The mast is leaning."}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def asked(kind: str, reach: str, name: str, **times: str) -> dict[str, Any]:
    """The body of a window."""
    return {"kind": kind, "scope": {"type": reach, "id": name}, "reason": "A router.", **times}


@contextmanager
def ledger_of(platform: Platform) -> Iterator[Ledger]:
    """The ledger that the processes write."""
    ledger = open_ledger(platform.ledger_url)
    yield ledger
    ledger.close()


def restart(platform: Platform) -> None:
    """kill -9 of ingest, and start it again."""
    before = platform.log("ingest").count("processing from")
    platform.kill("ingest")
    platform.start("ingest")
    wait_for(lambda: platform.log("ingest").count("processing from") > before, "it is back", 60)


def test_ingest_mutes_by_windows_and_follows_what_was_closed(tmp_path: Path) -> None:
    """While it runs and after a kill; alerts fire and are resolved all the same, each once."""
    with running(tmp_path, one_office()) as platform, Client().connected(platform.port) as client:
        base, sent = now_ms() - 100_000, iter(range(1000))

        def send(loss: float) -> None:
            for n in (next(sent) for _ in range(6)):
                client.publish(P0, reading(base + n * 1000, seq=n, nat_loss_pct=loss))

        def alerts(state: str) -> list[dict[str, Any]]:
            return [a for a in platform.items("/alerts", state=state) if a["device"] == "p0"]

        def muted() -> list[tuple[str, str | None]]:
            with ledger_of(platform) as ledger:
                told = [one.data for one in events.since(ledger, 0, 1000) if one.type == "alert"]
            ours = [one for one in told if one["device"] == "p0" and "action" not in one]
            return [(one["state"], one["muted"]) for one in ours]

        def makes(act: Any) -> dict[str, Any]:
            before = platform.log("ingest").count("windows reloaded")
            made: dict[str, Any] = act()
            wait_for(
                lambda: platform.log("ingest").count("windows reloaded") > before,
                "ingest knows of it",
                20,
            )
            return made

        end = {"end": iso(now_ms() + HOUR_MS)}
        silence = makes(
            lambda: platform.post("/windows", asked("silence", "site", "office", **end))
        )
        send(80.0)
        wait_for(lambda: len(alerts("firing")) == 1, "the first alert fires", 30)
        restart(platform)
        send(0.0)
        wait_for(lambda: len(alerts("resolved")) == 1, "it is resolved", 30)
        assert muted() == [("firing", "silenced"), ("resolved", "silenced")]

        makes(lambda: platform.post(f"/windows/{silence['window']}/end", {"text": "It is in."}))
        national = makes(lambda: platform.post("/windows", asked("silence", "country", "", **end)))
        send(80.0)
        wait_for(lambda: len(alerts("firing")) == 1, "the second alert fires", 30)
        assert muted()[2:] == [("firing", "part-of-incident")]
        (alert,) = alerts("firing")
        platform.post(f"/alerts/{alert['alert']}/close", CLOSING)
        restart(platform)
        send(80.0)
        wait_for(lambda: platform.get("/stats")["messages_pending"] == 0, "all is processed", 30)
        assert [one["alert"] for one in alerts("closed")] == [alert["alert"]]
        assert alerts("firing") == []

        with ledger_of(platform) as ledger:
            second = Deed("key-2", "Phom", now_ms())
            makes(lambda: approve(ledger, national["window"], second, text="yes")._asdict())
        send(0.0)
        wait_for(lambda: len(alerts("resolved")) == 2, "the closed one is resolved", 30)
        assert muted()[3:] == [("resolved", "silenced")]
        assert platform.get(f"/alerts/{alert['alert']}")["close_reason"] == "known-problem"


def test_maintenance_is_left_out_of_the_account(tmp_path: Path) -> None:
    """As it is published where it was announced, by a new revision where an admin said it late."""
    country = one_office(interval_s=60.0)
    sites = tmp_path / "sites"
    tmp_path.mkdir(exist_ok=True)
    write_registry(country, sites)
    clock = {
        "GOVSENSE_CLOCK__START": START,
        "GOVSENSE_CLOCK__SPEED": str(SPEED),
        "GOVSENSE_CLOCK__ORIGIN_MS": str(now_ms() + 6000),
    }
    simulate = ("simulate", "--sites", str(sites), "--seed", "11", "--duration", "70m")
    with (
        running(tmp_path / "run", country, **clock) as platform,
        ledger_of(platform) as ledger,
        ThreadPoolExecutor(1) as pool,
    ):
        playing = pool.submit(platform.run, *simulate)

        def published() -> dict[int, Bin]:
            return {one.start_ms: one for one in bins_of(ledger, "office", 0, 2**45)}

        wait_for(lambda: "UP" in {b.state for b in published().values()}, "a bin is up", 60)
        soon = platform.post(
            "/windows", asked("silence", "site", "office", end="2026-10-06T00:00Z")
        )
        begin_ms = (parse_time(soon["start"]) // BIN_MS + 2) * BIN_MS
        times = {"start": iso(begin_ms), "end": iso(begin_ms + 2 * BIN_MS)}
        planned = platform.post("/windows", asked("maintenance", "site", "office", **times))
        restart(platform)
        wait_for(lambda: begin_ms + BIN_MS in published(), "the planned bins are published", 60)
        inside = [published()[begin_ms + n * BIN_MS] for n in (0, 1)]
        assert [(b.state, b.revision, b.excluded_by) for b in inside] == [
            ("EXCLUDED", 1, planned["window"])
        ] * 2

        first = min(b.start_ms for b in published().values() if b.state == "UP")
        assert published()[first].revision == 1
        times = {"start": iso(first), "end": iso(first + BIN_MS)}
        late = platform.post("/windows", asked("maintenance", "province", "LA-LP", **times))
        assert late["late"]
        wait_for(lambda: published()[first].state == "EXCLUDED", "the bin is revised", 30)
        assert published()[first][4:] == (2, late["window"])
        availability = platform.get(
            "/sites/office/availability",
            **{"from": iso(first), "to": iso(begin_ms + 2 * BIN_MS)},
        )
        assert availability["excluded"] == 3

        playing.cancel()
