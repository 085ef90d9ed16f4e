"""Health, readiness, statistics and Prometheus metrics."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from storage.ledger import stats
from storage.ledger.facts import Facts, commit
from tests.api.world import NOW_MS, World, serving
from tests.faults.small_disk import small_disk


def scrape(world: World) -> dict[str, float]:
    """Every sample of one scrape by name and labels, through Prometheus' own parser."""
    answer = world.client.get("/metrics")
    assert answer.status_code == 200
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_readiness_names_what_is_missing(own_world: World) -> None:
    """Ready while ingest beats; otherwise 503 with the part and the reason."""
    assert [check["ok"] for check in own_world.get("/ready")["checks"]] == [True] * 3
    own_world.now_ms += 11_000
    problem = own_world.problem(503, "/ready")
    assert {check["name"] for check in problem["checks"] if not check["ok"]} == {"ingest"}
    assert "last sign of life" in problem["detail"]
    stats.beat(own_world.ledger, "ingest", own_world.now_ms, {"broker_connected": False})
    assert "broker" in own_world.problem(503, "/ready")["detail"]
    assert own_world.get("/health") == {"status": "ok"}


def test_a_disk_without_space_is_not_ready(own_world: World, tmp_path: Path) -> None:
    """ready names the disk while it has no room, and is well again when it has."""
    with (
        small_disk(tmp_path / "disk", mib=8) as disk,
        serving(own_world, disks=(disk.path,)),
    ):
        disk.fill()
        problem = own_world.problem(503, "/ready")
        assert {check["name"] for check in problem["checks"] if not check["ok"]} == {"disk"}
        disk.free()
        assert [check["ok"] for check in own_world.get("/ready")["checks"]] == [True] * 4


def test_one_scrape_shows_that_every_message_is_accounted_for(own_world: World) -> None:
    """received = stored + duplicate + quarantined + pending, whatever the heartbeat's age."""
    for position, stored in ((249, 0), (250, 1), (400, 150)):
        commit(
            own_world.ledger,
            Facts(position=position, totals={"messages_stored": stored}),
            now_ms=NOW_MS,
        )
        found = scrape(own_world)
        parts = ("stored_total", "duplicate_total", "quarantined_total", "pending")
        assert found["govsense_messages_received_total"] == sum(
            found[f"govsense_messages_{part}"] for part in parts
        )
        assert found["govsense_messages_received_total"] == max(position, 250)


def test_a_lost_message_breaks_the_sum(own_world: World) -> None:
    """The law is measured, not made to hold: a position without an outcome shows."""
    commit(own_world.ledger, Facts(position=260), now_ms=NOW_MS)
    found = scrape(own_world)
    parts = ("stored_total", "duplicate_total", "quarantined_total", "pending")
    assert found["govsense_messages_received_total"] > sum(
        found[f"govsense_messages_{part}"] for part in parts
    )


def test_metrics_show_processes_latencies_and_the_country(world: World) -> None:
    """Gauges come from heartbeats, the rest from the ledger."""
    found = scrape(world)
    assert found["govsense_heartbeat_age_seconds[ingest]"] == 0.5
    assert found["govsense_broker_connected[ingest]"] == 1
    assert found["govsense_refused[bad-version]"] == 1
    assert found["govsense_event_to_stored_seconds_bucket[0.01]"] == 2
    assert found["govsense_event_to_stored_seconds_count"] == 3
    assert found["govsense_event_to_stored_seconds_sum"] == 0.12
    assert found["govsense_devices[registered]"] == 2
    assert found["govsense_alerts_open[LA-LP]"] == 2


def test_the_summary_for_programs(world: World) -> None:
    """/stats has totals, latencies and what is open."""
    summary = world.get("/stats")
    assert summary["messages_received"] == 250
    assert summary["messages_pending"] == 1
    assert summary["event_to_alert_ms"] == {"p50": 10.0, "p99": 100.0, "count": 3}
    assert (summary["devices"], summary["devices_heard"], summary["alerts_open"]) == (5, 3, 3)


def test_every_metric_and_path_is_documented(world: World) -> None:
    """docs/api.md has a row for each."""
    documented = (Path(__file__).parents[2] / "docs/api.md").read_text("utf-8")
    families = text_string_to_metric_families(world.client.get("/metrics").text)
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        assert f"| `{name}" in documented, name
    for path in world.get("/openapi.json")["paths"]:
        resource = path.removeprefix("/api/v1").replace("{device}", "{id}")
        for name in ("{site}", "{alert}", "{incident}", "{window}"):
            resource = resource.replace(name, "{id}")
        assert f"{resource}`" in documented, resource
