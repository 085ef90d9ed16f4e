"""`govsense quarantine`: list what was refused, and replay it after a fix."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime

from runtime.settings import Settings
from runtime.stores import open_ledger
from storage.ledger.migrations import Ledger, LedgerError
from storage.ledger.quarantine import (
    STATES,
    QuarantineFilter,
    QuarantineRow,
    get_quarantined,
    list_quarantine,
    request_replay,
)

PAGE = 500
REPLAYED_WITHIN_S = 30.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which messages."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="show refused messages, newest first")
    listing.add_argument("--state", choices=STATES)
    listing.add_argument("--limit", type=int, default=50, help="at most so many (default: 50)")
    listing.add_argument("--json", action="store_true", help="one JSON object a line, with payload")
    replay = actions.add_parser("replay", help="judge held messages again")
    replay.add_argument(
        "--clock-behind-s",
        type=int,
        default=0,
        metavar="S",
        help="the platform's clock was so far behind when they came; needs --reason or --id",
    )
    for action in (listing, replay):
        action.add_argument("--reason", help="only messages refused for this reason")
        action.add_argument("--device", help="only messages on this device's topics")
        action.add_argument("--id", type=int, help="only this message")
    parser.epilog = """examples:
  govsense quarantine list --reason unknown-device
  govsense quarantine list --json --limit 1000 > refused.jsonl
  govsense registry import DIR && govsense quarantine replay --device p7
  govsense quarantine replay --reason clock-future --clock-behind-s 25200

Retained telemetry may be of any age: it is replayed only with --reason retained or --id.
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when done; 1 where some messages are refused again or ingest did not take them."""
    try:
        ledger = open_ledger(settings)
    except LedgerError as exc:
        print(f"govsense quarantine: {exc}", file=sys.stderr)
        return 1
    which = QuarantineFilter(reason=args.reason, device=args.device, id=args.id)
    try:
        if args.action == "replay" and args.clock_behind_s and not (args.reason or args.id):
            print("govsense quarantine: --clock-behind-s changes the receive time of messages:"
                  " say which with --reason or --id", file=sys.stderr)  # fmt: skip
            return 2
        if args.action == "list":
            return _list(ledger, which._replace(state=args.state), args.limit, as_json=args.json)
        return _replay(ledger, which, args.clock_behind_s * 1000)
    finally:
        ledger.close()


def _list(ledger: Ledger, which: QuarantineFilter, limit: int, *, as_json: bool) -> int:
    before = None
    while limit > 0:
        page = list_quarantine(ledger, which, before=before, limit=min(limit, PAGE))
        for row in page:
            print(json.dumps(_plain(row), ensure_ascii=False) if as_json else _line(row))
        if len(page) < min(limit, PAGE):
            break
        limit -= len(page)
        before = page[-1].id
    return 0


def _replay(ledger: Ledger, which: QuarantineFilter, behind_ms: int) -> int:
    numbers = request_replay(ledger, which, behind_ms=behind_ms)
    if not numbers:
        print("no held message matches")
        return 0
    deadline = time.monotonic() + REPLAYED_WITHIN_S
    waiting = set(numbers)
    again: dict[str, int] = {}
    while waiting and time.monotonic() < deadline:
        for number in list(waiting):
            row = get_quarantined(ledger, number)
            if row is None or row.state == "requested":
                break
            waiting.discard(number)
            if row.state == "held":
                again[row.reason] = again.get(row.reason, 0) + 1
        time.sleep(0.1)
    done = len(numbers) - len(waiting) - sum(again.values())
    print(f"{done} of {len(numbers)} messages replayed")
    for reason, count in sorted(again.items()):
        print(f"{count} refused again: {reason}")
    if waiting:
        print(
            f"{len(waiting)} still wait: is `govsense ingest` running? It replays them when it is.",
            file=sys.stderr,
        )
    return 1 if waiting or again else 0


def _line(row: QuarantineRow) -> str:
    at = datetime.fromtimestamp(row.received_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    detail = row.refusals[0]["detail"]
    return f"{row.id:>8}  {at}  {row.state:9}  {row.reason:18}  {row.topic}  {detail}"


def _plain(row: QuarantineRow) -> dict[str, object]:
    return {**row._asdict(), "payload": row.payload.decode("utf-8", "backslashreplace")}
