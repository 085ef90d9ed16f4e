"""`govsense backup`: a backup of the embedded stores while the platform runs."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from ingest.backup import Stores, back_up
from ingest.restore import check
from runtime.settings import Settings
from runtime.stores import uses_influxdb
from storage.backup.manifest import BackupError, Manifest
from storage.ledger.migrations import LedgerError, file_of

LARGE_BYTES = 64 * 2**20  # smaller files are done before anybody wonders


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to, or what to check."""
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="of the backup, or FILE.tar; must be new"
    )
    parser.add_argument(
        "--verify", action="store_true", help="make none, check the one that is there"
    )
    parser.epilog = """examples:
  govsense backup /mnt/usb/govsense-2026-10-05.tar        in one file
  govsense backup /mnt/usb/govsense-2026-10-05            while the platform runs
  govsense backup --verify /mnt/usb/govsense-2026-10-05   every byte and every table
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when the backup is made and checked; 1, with what is wrong, otherwise."""
    try:
        if args.verify:
            found = check(args.directory, settings.data_dir, shown())
            print(f"{args.directory} is whole: {described(found)}")
            return 0
        missing = not_included(settings)
        made = back_up(stores_of(settings), args.directory, not_included=missing, progress=shown())
    except (BackupError, LedgerError, OSError, sqlite3.DatabaseError) as exc:
        print(f"govsense backup: {exc}", file=sys.stderr)
        return 1
    print(f"{args.directory}: {described(made)}")
    for line in missing:
        print(f"NOT in this backup: {line}")
    return 0


def stores_of(settings: Settings) -> Stores:
    """Where the embedded stores are."""
    return Stores(
        journal=settings.data_dir / "journal",
        series=settings.series_path,
        spool=settings.data_dir / "spool.db",
        ledger=file_of(settings.ledger_url),
    )


def not_included(settings: Settings) -> list[str]:
    """What belongs to the platform and is not in a backup, each with the tool that saves it."""
    found = []
    if file_of(settings.ledger_url) is None:
        found.append(
            "the ledger, which is in PostgreSQL: save it with pg_dump. Stop ingest while you make"
            " both: only then does every message count once after a restore of both"
        )
    if uses_influxdb(settings):
        found.append(
            "the telemetry in InfluxDB: save it with `influxd backup -portable` (1.x) or"
            " `influx backup` (2.x), after this backup: what is written twice is stored once"
        )
    return [*found, "the broker's queue and passwords, the settings file and secrets"]


def described(made: Manifest) -> str:
    """A backup in a line."""
    size_mib = sum(entry.bytes for entry in made.files) / 2**20
    return (
        f"{len(made.files)} files, {size_mib:.1f} MiB, made {made.made_at} by govsense"
        f" {made.govsense}; every message before journal position {made.journal_position}"
    )


def shown() -> Callable[[str, int, int], None]:
    """Progress on standard error, a line for every tenth of a large file."""
    told: dict[str, int] = {}

    def show(what: str, done: int, of: int) -> None:
        tenths = 10 * done // of if of else 10
        if of >= LARGE_BYTES and tenths > told.get(what, 0):
            told[what] = tenths
            print(f"{what}: {done >> 20} of {of >> 20} MiB", file=sys.stderr)

    return show
