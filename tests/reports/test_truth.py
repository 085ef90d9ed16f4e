"""From messages of a simulated country to a report: outage minutes against the truth file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from devices.registry_files import read_registry
from ingest.captures import read_capture
from ingest.replay import Replay
from reports.issuing import Asked, loaded, report_now
from reports.periods import period_between
from runtime.cli import main
from simulators.scorecard.files import BIN_MS, Fault, Place, World, read_lines
from simulators.scorecard.outages import Truth
from storage.ledger.bins import put_bins
from storage.ledger.migrations import open_ledger
from storage.ledger.registry import add_registry
from storage.ledger.report_data import Within
from tests.reports.world import RULES

HOUR_MS = 3_600_000
QUARTER_MS = HOUR_MS // 4  # before the end of the world everybody falls silent


def test_outage_minutes_are_true(tmp_path: Path) -> None:
    """Wrong by at most one bin an outage before backfill, by none after it.

    A bin that an outage or a lesser fault touches in part may be either.
    """
    size = ["--sites", "6", "--devices", "24", "--days", "1"]
    call = ["simulate", "--no-broker", "--world", "everything", "--seed", "11", *size]
    assert main([*call, "--out", str(tmp_path)]) == 0
    registry = read_registry([tmp_path / "sites.csv", tmp_path / "devices.csv"])
    replay = Replay(registry, without_late=True)
    for at_ms in replay.run(read_capture(tmp_path / "capture.jsonl")):
        last_ms = at_ms
    replay.pass_time(last_ms + 2 * HOUR_MS)
    places = {
        name: Place(one.site, one.kind, round(one.interval_s * 1000))
        for name, one in registry.devices.items()
    }
    truth = Truth(World(places, {}, read_lines(tmp_path / "truth.jsonl", Fault)))
    outages = 0
    for slack, said in ((1, replay.bins_in_time), (0, replay.bins)):
        ledger = open_ledger(f"sqlite:///{tmp_path / f'{slack}.db'}")
        add_registry(ledger, registry)
        with ledger.begin() as connection:
            put_bins(connection, list(said.values()))
        first_ms = min(one.start_ms for one in said.values())
        period = period_between(first_ms, last_ms // BIN_MS * BIN_MS - QUARTER_MS)
        asked = Asked(Within(), period, "24x7")
        report = loaded(report_now(ledger, asked, RULES, period.end_ms + RULES.settling_ms))
        ledger.close()
        for site in report["sites"]:
            count = Counter(
                truth.expected(site["id"], one.start_ms)
                for one in said.values()
                if one.site == site["id"] and one.start_ms < period.end_ms
            )
            outages += len(truth.outages(site["id"]))
            allowed = slack * len(truth.outages(site["id"]))
            down = site["minutes"]["down"] / 5
            least, most = count["down"], count["down"] + count["either"]
            assert least - allowed <= down <= most + allowed, (slack, site["id"], count, down)
    assert outages
