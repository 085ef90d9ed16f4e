"""Whether reports tell the truth: outage minutes of a simulated month against its truth file.

    python -m bench.truth                                      a month of 300 sites
    python -m bench.truth --sites 30 --days 5 --seeds 11-14
    python -m bench.truth --keep DIR                           go on where a run was interrupted

A labelled world is written, with a quarter of a day more than is reported, for its last backlogs
to come. The platform's own intake and connectivity detection put its bins into two ledgers: of one,
nothing late ever came; of the other, all of it. The connectivity report of each is compared with
the truth, site by site and outage by outage, and verified. Alerts and incidents, from which no bin
follows, are not made. Seeds 1 to 99 only: the others are for the scorecard.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from bench.scorecard import CAPTURE, Job, Size, folder_of, tell, write
from bench.truth_found import Found, compare
from detection.connectivity import Connectivity
from detection.outages import Bin
from devices.catalogue import Catalogue
from devices.registry import Registry
from devices.registry_files import read_registry
from ingest.captures import read_capture
from ingest.hearing import heard_of, in_time
from ingest.intake import Intake
from ingest.judge import TICK_MS
from ingest.replay import from_devices, tick_after
from reports.calendars import read_working_hours
from reports.gathering import gather
from reports.grids import Grid
from reports.issuing import Asked, loaded, report_now
from reports.periods import DAY_MS, Period, period_between
from reports.rules import Rules
from reports.verifying import verify
from simulators.everything import season_start_ms
from simulators.scorecard.files import Fault, read_lines
from storage.ledger.bins import put_bins
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.registry import add_registry
from storage.ledger.report_data import Within

AFTER_DAYS = 0.25  # that are simulated beyond the report
COMMIT_MS = 3_600_000  # of the world's time, between commits
RULES = Rules(read_working_hours())
WHEN = ("before backfill", "after backfill")


def main() -> int:
    """Print the figures. 1 where minutes are wrong by more than is promised."""
    args = _arguments()
    first, _, last = args.seeds.partition("-")
    found = {when: Found() for when in WHEN}
    for seed in range(int(first), int(last or first) + 1):
        job = Job(seed, Size(args.sites, args.devices or args.sites, args.days + AFTER_DAYS), True)
        with folder_of(seed, args.keep) as folder:
            tell(f"seed {seed}: written in {write(job, folder):.0f} s")
            for when, one in _judge(folder, season_start_ms(seed), args.days):
                found[when].add(one)
    for when, one in found.items():
        print(f"{when}: {one}")
    return int(found[WHEN[0]].most > 1 or found[WHEN[1]].most > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--devices", type=int, help="default: a probe at each site")
    parser.add_argument("--days", type=float, default=30)
    parser.add_argument("--seeds", metavar="A-B", default="12", help="1 to 99 (default: 12)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep worlds and ledgers here")
    return parser.parse_args()


def _judge(folder: Path, start_ms: int, days: float) -> Iterator[tuple[str, Found]]:
    """What the reports of a world say, before and after backfill."""
    registry = read_registry([folder / "sites.csv", folder / "devices.csv"])
    faults, decoys = (read_lines(folder / f"{name}.jsonl", Fault) for name in ("truth", "decoys"))
    period = period_between(start_ms, start_ms + round(days * DAY_MS))
    files = [folder / f"{when.partition(' ')[0]}.db" for when in WHEN]
    began = time.monotonic()
    if not (folder / "replayed").exists():
        for file in files:
            file.unlink(missing_ok=True)
        ledgers = [open_ledger(f"sqlite:///{file}") for file in files]
        for ledger in ledgers:
            add_registry(ledger, registry)
        _replay(folder / CAPTURE, registry, *ledgers)
        for ledger in ledgers:
            ledger.close()
        (folder / "replayed").touch()
    tell(f"replayed in {time.monotonic() - began:.0f} s")
    for when, file in zip(WHEN, files, strict=True):
        ledger = open_ledger(f"sqlite:///{file}")
        yield when, compare(*_reported(ledger, period), registry, faults, decoys, period)
        ledger.close()


def _replay(capture: Path, registry: Registry, before: Ledger, after: Ledger) -> None:
    """Put the bins of a capture into two ledgers: as if nothing late had come, and all."""
    catalogue = Catalogue()
    intake = Intake(registry, catalogue)
    platforms = [
        (Connectivity(catalogue, registry), before),
        (Connectivity(catalogue, registry), after),
    ]
    next_ms = 0
    for tick_ms, group in groupby(from_devices(read_capture(capture), Counter()), tick_after):
        arrived = list(group)
        for now_ms in range(next_ms or tick_ms, tick_ms, TICK_MS):
            _tick(platforms, now_ms)
        next_ms = tick_ms
        heard = heard_of(intake.take(arrived))
        platforms[0][0].hear(in_time(heard))
        platforms[1][0].hear(heard)
    _tick(platforms, next_ms, last=True)


def _tick(
    platforms: Iterable[tuple[Connectivity, Ledger]], now_ms: int, *, last: bool = False
) -> None:
    for connectivity, ledger in platforms:
        connectivity.tick(now_ms)
        connectivity.take_outages()
        if last or now_ms % COMMIT_MS == 0:
            with ledger.begin() as connection:
                put_bins(connection, _last_of(connectivity.take_bins()))


def _last_of(bins: Iterable[Bin]) -> list[Bin]:
    return list({(one.site, one.start_ms): one for one in bins}.values())


def _reported(ledger: Ledger, period: Period) -> tuple[dict[str, Any], Grid]:
    """The report of a ledger and its bins; raises ValueError where it does not verify."""
    asked = Asked(Within(), period, "24x7")
    began = time.monotonic()
    text = report_now(ledger, asked, RULES, period.end_ms + RULES.settling_ms)
    made = time.monotonic()
    problems = verify(text.encode(), ledger, RULES)
    tell(f"reported in {made - began:.1f} s, verified in {time.monotonic() - made:.1f} s")
    if problems:
        raise ValueError(f"the report does not verify: {problems}")
    return loaded(text), gather(ledger, asked.within, period, from_bins=True)[0].grid


if __name__ == "__main__":
    sys.exit(main())
