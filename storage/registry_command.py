"""`govsense registry`: sites and devices from files, to files, and a sample country."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from devices.registry import Registry, RegistryError
from devices.registry_files import read_registry, write_registry
from devices.sample import national_sample
from runtime.settings import Settings
from runtime.stores import open_ledger
from storage.ledger.migrations import LedgerError
from storage.ledger.registry import add_registry, load_registry

SHOWN_PROBLEMS = 50


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which files."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    importing = actions.add_parser("import", help="add or replace sites and devices, all or none")
    importing.add_argument(
        "paths", nargs="+", type=Path, metavar="FILE", help="sites.csv, devices.csv, a directory"
        " that holds both, or a YAML file"
    )  # fmt: skip
    exporting = actions.add_parser("export", help="write what is registered to a directory")
    exporting.add_argument("directory", type=Path, metavar="DIR")
    sample = actions.add_parser("sample", help="write the sample country to a directory")
    sample.add_argument("directory", type=Path, metavar="DIR")
    parser.epilog = """examples:
  govsense registry sample country          sites.csv and devices.csv to look at and to edit
  govsense registry import country          register them
  govsense registry import sites.csv devices.csv
  govsense registry export backup           what is registered now
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when done; 1 where a file or the ledger refuses, with every problem on standard error."""
    try:
        return _run(args, settings)
    except RegistryError as exc:
        for problem in exc.problems[:SHOWN_PROBLEMS]:
            print(problem, file=sys.stderr)
        print(
            f"govsense registry: nothing was changed; problems: {len(exc.problems)}",
            file=sys.stderr,
        )
    except (LedgerError, OSError) as exc:
        print(f"govsense registry: {exc}", file=sys.stderr)
    return 1


def _run(args: argparse.Namespace, settings: Settings) -> int:
    if args.action == "sample":
        return _wrote(national_sample(), args.directory)
    ledger = open_ledger(settings)
    try:
        if args.action == "export":
            return _wrote(load_registry(ledger), args.directory)
        registry = read_registry(args.paths, onto=load_registry(ledger))
        add_registry(ledger, registry)
        print(f"{len(registry.sites)} sites and {len(registry.devices)} devices are registered now")
        return 0
    finally:
        ledger.close()


def _wrote(registry: Registry, directory: Path) -> int:
    write_registry(registry, directory)
    print(f"{len(registry.sites)} sites and {len(registry.devices)} devices in {directory}")
    return 0
