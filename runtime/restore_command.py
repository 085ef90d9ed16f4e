"""`govsense restore`: put a backup back."""

from __future__ import annotations

import argparse
import sqlite3
import sys
from pathlib import Path

from ingest.restore import check, restore
from runtime.backup_command import described, shown, stores_of
from runtime.settings import Settings
from storage.backup.manifest import BackupError
from storage.ledger.migrations import LedgerError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which backup, and what becomes of data that is there."""
    parser.add_argument(
        "directory", type=Path, metavar="BACKUP", help="directory of the backup, or its file.tar"
    )
    parser.add_argument("--check", action="store_true", help="only check the backup")
    parser.add_argument(
        "--replace", action="store_true",
        help="move data that is there aside, to replaced-TIME beside it; it is never deleted",
    )  # fmt: skip
    parser.epilog = """examples:
  govsense restore --check /mnt/usb/govsense-2026-10-05
  govsense restore /mnt/usb/govsense-2026-10-05             into an empty data directory
  govsense restore --replace /mnt/usb/govsense-2026-10-05   in place of what is there

Stop the platform first. Data goes where the settings say: platform.data_dir, storage.series_path,
storage.ledger_url.
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when all is in place; 1, with what is wrong and nothing changed, otherwise."""
    try:
        if args.check:
            found = check(args.directory, settings.data_dir, shown())
            print(f"{args.directory} is whole: {described(found)}")
            return 0
        made, moved = restore(
            args.directory,
            stores_of(settings),
            settings.data_dir,
            replace=args.replace,
            progress=shown(),
        )
    except (BackupError, LedgerError, OSError, sqlite3.DatabaseError) as exc:
        print(f"govsense restore: {exc}", file=sys.stderr)
        return 1
    for path in moved:
        print(f"what was there is now {path}")
    print(f"restored into {settings.data_dir}: {described(made)}")
    for line in made.not_included:
        print(f"NOT in this backup: {line}")
    return 0
