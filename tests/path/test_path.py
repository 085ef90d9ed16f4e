"""The path of a message through the real processes, from PUBLISH to the API's answer."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.path.platform import Platform, one_office, reading, running
from tests.project.broker import Client, wait_for

pytestmark = pytest.mark.mosquitto
P0 = "gov/v1/LA-LP/p0/telemetry"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(tmp_path_factory.mktemp("platform"), one_office()) as platform:
        yield platform


@pytest.fixture
def client(platform: Platform) -> Iterator[Client]:
    with Client().connected(platform.port) as client:
        yield client


def test_a_reading_is_the_latest_within_a_second(platform: Platform, client: Client) -> None:
    """What a device publishes is in the API's answer within a second."""
    at_ms = now_ms()
    client.publish(P0, reading(at_ms, nat_rtt_p50_ms=21.4))

    def latest() -> bool:
        readings = platform.get("/devices/p0/latest")["readings"]
        return any(r["metric"] == "nat_rtt_p50_ms" and r["value"] == 21.4 for r in readings)

    wait_for(latest, "the reading is the latest", within_s=1.0)


MALFORMED = {
    "bad-json": (P0, b'{"v":1,"boot":'),
    "bad-utf8": (P0, b'{"v":1,"boot":"\xff\xfe"}'),
    "too-deep": (P0, b'{"v":1,"x":' + b"[" * 20 + b"]" * 20 + b"}"),
    "oversize": (P0, b'{"v":1,"x":"' + b"x" * 270_000 + b'"}'),
    "bad-version": (P0, b'{"v":9,"boot":"b","seq":1,"ts":1,"m":{}}'),
    "bad-envelope": (P0, b'{"v":1,"boot":"b","seq":1,"ts":"noon","m":{}}'),
    "unknown-device": ("gov/v1/LA-LP/nobody/telemetry", b"{}"),
    "wrong-province": ("gov/v1/LA-VT/p0/telemetry", b"{}"),
    "bad-topic": ("gov/v1/LA-LP/P0!/telemetry", b"{}"),
    "clock-before-2020": (P0, reading(1000, nat_rtt_p50_ms=1.0)),
}
PARTLY_GOOD = {
    "unknown-metric": {"speed_of_light": 3e8},
    "outside-hard-range": {"nat_loss_pct": 812.0},
    "clock-future": {},
}


def test_malformed_payloads_are_in_quarantine_with_the_right_reason(
    platform: Platform, client: Client
) -> None:
    """Each kind of bad message is kept with its payload and its own reason."""
    for topic, payload in MALFORMED.values():
        client.publish(topic, payload)
    wait_for(
        lambda: set(MALFORMED) <= {row["reason"] for row in platform.items("/quarantine")},
        "every malformed payload is in quarantine",
    )
    for row in platform.items("/quarantine"):
        if row["reason"] in MALFORMED:
            topic, payload = MALFORMED[row["reason"]]
            kept = platform.get(f"/quarantine/{row['id']}")
            assert kept["topic"] == topic
            if "payload" in kept and kept["payload"] is not None:
                assert kept["payload"] == payload.decode()


def test_good_readings_beside_bad_ones_are_stored(platform: Platform, client: Client) -> None:
    """A bad value does not block the rest of its message."""
    base = now_ms()
    for n, (reason, extra) in enumerate(PARTLY_GOOD.items()):
        good = {"isp_rtt_p50_ms": 5.0 + n}
        if reason == "clock-future":
            payload = (
                f'{{"v":1,"boot":"b1","r":[{{"seq":8,"ts":{base + 3_600_000},"m":{{"dns_ms":1}}}},'
                f'{{"seq":9,"ts":{base + n},"m":{{"isp_rtt_p50_ms":{5.0 + n}}}}}]}}'
            ).encode()
        else:
            payload = reading(base + n, seq=5 + n, **good, **extra)
        client.publish("gov/v1/LA-LP/p1/telemetry", payload)
    wait_for(
        lambda: (
            set(PARTLY_GOOD) <= {r["reason"] for r in platform.items("/quarantine", device="p1")}
        ),
        "the refused parts are in quarantine",
    )
    rows = platform.items(
        "/devices/p1/telemetry",
        metric="isp_rtt_p50_ms",
        **{"from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z"},
    )
    assert [row["value"] for row in rows] == [5.0, 6.0, 7.0]


def test_every_message_is_accounted_for(platform: Platform, client: Client) -> None:
    """received = stored + duplicate + quarantined + pending, after duplicates and refusals too."""
    at_ms = now_ms()
    for _ in range(3):
        client.publish("gov/v1/LA-LP/p2/telemetry", reading(at_ms, dns_ms=14.0))
    wait_for(
        lambda: platform.metrics()["govsense_messages_duplicate_total"] >= 2, "duplicates counted"
    )
    counts = platform.metrics()
    parts = ("stored_total", "duplicate_total", "quarantined_total", "pending")
    assert counts["govsense_messages_received_total"] == sum(
        counts[f"govsense_messages_{part}"] for part in parts
    )
    hours = platform.items("/devices/p2/accounting")
    assert sum(hour["received"] for hour in hours) == 1
    assert sum(hour["duplicate"] for hour in hours) == 2


def test_quarantine_is_replayed_after_a_fix(
    platform: Platform, client: Client, tmp_path: Path
) -> None:
    """What an unregistered device sent is stored once it is registered and replayed."""
    at_ms = now_ms()
    client.publish("gov/v1/LA-LP/newcomer/telemetry", reading(at_ms, dns_ms=33.0))
    wait_for(lambda: platform.items("/quarantine", device="newcomer") != [], "the message is held")
    (tmp_path / "sites.csv").write_text(
        "site,name_en,name_lo,class,province,district,lat,lon,agency,provider,link_type,"
        "contracted_down_mbps,contracted_up_mbps,feeder,priority\n"
        "s2,Second,,office,LA-LP,luangprabang,19.9,102.1,Interior,LTC,fibre,50,25,,normal\n"
    )
    (tmp_path / "devices.csv").write_text(
        "device,site,kind,interval_s,uplink,params\nnewcomer,s2,connectivity-probe,60,1,{}\n"
    )
    imported = platform.run("registry", "import", str(tmp_path))
    assert imported.returncode == 0, imported.stderr
    replayed = platform.run("quarantine", "replay", "--device", "newcomer")
    assert replayed.returncode == 0, replayed.stderr
    readings = platform.get("/devices/newcomer/latest")["readings"]
    assert [(r["metric"], r["value"]) for r in readings] == [("dns_ms", 33.0)]
    assert platform.items("/quarantine", device="newcomer", state="held") == []


def test_kill_of_ingest_loses_nothing_and_stores_nothing_twice(tmp_path: Path) -> None:
    """What the broker acknowledged is stored exactly once, whenever ingest is killed."""
    with (
        running(tmp_path, one_office(), "broker", "ingest") as platform,
        Client().connected(platform.port) as client,
    ):
        base = now_ms()
        wait_for(lambda: "connected to the broker" in platform.log("ingest"), "ingest is there", 30)
        for kill in range(5):
            for n in range(400):
                at_ms = base + kill * 400 + n
                client.publish_soon(f"gov/v1/LA-LP/p{n % 3}/telemetry",
                                    reading(at_ms, seq=n, dns_ms=float(n)))  # fmt: skip
            platform.kill("ingest")
            platform.start("ingest")
        client.wait_published()
        platform.start("api")
        wait_for(lambda: platform.get("/stats")["messages_pending"] == 0, "all is processed", 30)
        wait_for(lambda: platform.get("/stats")["readings_stored"] == 2000, "all is stored", 30)
        counts = platform.metrics()
        assert counts["govsense_messages_received_total"] == (
            counts["govsense_messages_stored_total"] + counts["govsense_messages_duplicate_total"]
        )
        platform.stop("ingest")
        with sqlite3.connect(tmp_path / "series.db") as series:
            assert series.execute("SELECT count(*) FROM raw").fetchone() == (2000,)
