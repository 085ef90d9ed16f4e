"""`govsense audit`: whether the audit is whole, and what is in it."""

from __future__ import annotations

import argparse
import json
import re
import sys

from runtime.arguments import whole_number
from runtime.settings import Settings
from runtime.stores import open_ledger
from storage.ledger.audit import Verdict, list_audit, verify
from storage.ledger.migrations import Ledger, LedgerError

MOST_ROWS = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="verify|list")
    verifying = actions.add_parser("verify", help="recompute the chain of hashes")
    verifying.add_argument(
        "--kept", type=_kept, metavar="ID:HASH", help="a row as an earlier run named it"
    )
    listing = actions.add_parser("list", help="the newest rows, a JSON object a line")
    listing.add_argument(
        "--limit",
        type=whole_number(1, MOST_ROWS, f"a number from 1 to {MOST_ROWS}"),
        default=50,
        metavar="N",
        help="default: 50",
    )
    for action in (verifying, listing):
        action.epilog = "`govsense audit --help` has examples."
    parser.epilog = """examples:
  govsense audit verify
  govsense audit verify --kept 4711:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
  govsense audit list --limit 20

verify ends with 1 at the first broken row, and else names the last one: note it somewhere else, and
give it to a later run, which then sees rows that were cut off at the end.
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 where the chain is whole; 1 where it is broken, or the ledger does not answer."""
    try:
        ledger = open_ledger(settings)
    except LedgerError as exc:
        print(f"govsense audit: {exc}", file=sys.stderr)
        return 1
    try:
        if args.action == "verify":
            return _say(verify(ledger, kept=args.kept))
        return _list(ledger, args.limit)
    finally:
        ledger.close()


def _say(verdict: Verdict) -> int:
    if verdict.broken is not None:
        print(f"govsense audit: row {verdict.broken} is broken: {verdict.why};"
              f" {verdict.rows} rows before it are whole", file=sys.stderr)  # fmt: skip
        return 1
    if not verdict.rows:
        print("the audit has no rows yet")
        return 0
    print(f"{verdict.rows} rows are whole; the last one is {verdict.rows}:{verdict.head}")
    return 0


def _list(ledger: Ledger, limit: int) -> int:
    for row in list_audit(ledger, limit=limit):
        print(json.dumps(row._asdict(), ensure_ascii=False))
    return 0


def _kept(text: str) -> tuple[int, str]:
    form = re.fullmatch(r"([0-9]{1,18}):([0-9a-f]{64})", text)
    if form is None:
        form_text = "4711: and 64 hexadecimal digits; an earlier `govsense audit verify` prints it"
        raise argparse.ArgumentTypeError(f"{text!r} is not like {form_text}")
    return int(form[1]), form[2]
