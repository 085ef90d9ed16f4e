"""Speed tests are found among all rounds, with the round trip of the same round."""

from __future__ import annotations

import json

from devices.catalogue import Catalogue
from devices.registry import Device, Registry, Site, Uplink
from ingest.intake import Intake
from ingest.journal import Record
from ingest.speed import speed_tests_of
from storage.ledger.speed_tests import SpeedTest

NOW = 1_791_165_600_000
UPLINK = Uplink("LTC", "fibre", 50.0, 25.0)
PLACE = ("LA-LP", "luangprabang", None, None, "Interior", (UPLINK,), "", "normal")
OFFICE = Site("office", "Office", "", "office", *PLACE)
PROBE = Device("p0", "office", "connectivity-probe", 60.0, 1, {})


def test_only_rounds_with_a_test() -> None:
    """Late rounds too; a speed that was not measured stays unknown."""
    rounds = [
        {"seq": 1, "ts": NOW, "m": {"nat_rtt_p50_ms": 9.0, "dns_ms": 5.0}},
        {
            "seq": 2,
            "ts": NOW - 60_000,
            "m": {
                "down_mbps": 40.5,
                "up_mbps": 20.0,
                "nat_rtt_p50_ms": 12.0,
                "nat_sent": 10,
                "nat_rcvd": 9,
            },
        },
        {"seq": 3, "ts": NOW - 86_400_000, "m": {"down_mbps": 1.5, "up_mbps": None}},
        {"seq": 4, "ts": NOW - 1000, "m": {"up_mbps": -5.0, "nat_rtt_p50_ms": 3.0}},
    ]
    payload = json.dumps({"v": 1, "boot": "b", "r": rounds}).encode()
    catalogue = Catalogue()
    intake = Intake(Registry({"office": OFFICE}, {"p0": PROBE}), catalogue)
    batch = intake.take([Record(1, NOW, "gov/v1/LA-LP/p0/telemetry", payload)])
    assert sorted(speed_tests_of(batch, catalogue)) == [
        SpeedTest("p0", NOW - 86_400_000, 1.5, None),
        SpeedTest("p0", NOW - 60_000, 40.5, 20.0, 12.0, 10.0, 9.0),
    ]


def test_a_batch_without_any() -> None:
    """Is the usual one."""
    catalogue = Catalogue()
    intake = Intake(Registry({"office": OFFICE}, {"p0": PROBE}), catalogue)
    assert speed_tests_of(intake.take([]), catalogue) == []
