"""`govsense keys`: who may call the API."""

from __future__ import annotations

import argparse
import getpass
import json
import math
import sys
import time
from datetime import UTC, datetime

from devices.geography import PROVINCES
from runtime.settings import Settings
from runtime.stores import open_ledger
from storage.ledger import keys
from storage.ledger.migrations import Ledger, LedgerError

DAYS, OVERLAP_H = 365.0, 24.0
LONGEST_NAME = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which key."""
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="create|list|rotate|revoke"
    )
    creating = actions.add_parser("create", help="make a key and show it, once")
    creating.add_argument("--name", required=True, type=_name, help="of the person or program")
    creating.add_argument(
        "--role",
        choices=keys.ROLES,
        default="viewer",
        help="viewer reads; operator also acts on alerts; admin may do everything; auditor reads,"
        " the audit too (default: viewer)",
    )
    creating.add_argument(
        "--province", action="append", choices=sorted(PROVINCES), metavar="CODE",
        help="limits it to the sites of a province; may be repeated",
    )  # fmt: skip
    creating.add_argument(
        "--agency", action="append", type=_name, metavar="NAME",
        help="limits it to the sites of an agency; may be repeated",
    )  # fmt: skip
    _add_days(creating)
    listing = actions.add_parser("list", help="every key with its rights and its last use")
    listing.add_argument("--json", action="store_true", help="a JSON object a line")
    revoking = actions.add_parser("revoke", help="end a key now")
    revoking.add_argument("key", metavar="KEY", help="its id or its prefix")
    rotating = actions.add_parser("rotate", help="replace a key; the old one holds for a while")
    rotating.add_argument("key", metavar="KEY", help="its id or its prefix")
    rotating.add_argument(
        "--overlap-hours", type=_length, default=OVERLAP_H, metavar="H",
        help="how long the old one still holds (default: 24)",
    )  # fmt: skip
    _add_days(rotating)
    for action in (creating, listing, rotating, revoking):
        action.epilog = "`govsense keys --help` has examples."
    parser.epilog = """examples:
  govsense keys create --name "Ministry dashboard"                   reads everything
  govsense keys create --name "S. Vong" --role operator --province LA-LP --days 90
  govsense keys create --name "Health portal" --agency Health
  govsense keys list
  govsense keys rotate key-1f2e3d4c --overlap-hours 48               for a change without a gap
  govsense keys revoke key-1f2e3d4c

A key is shown once, here, and kept as a hash: who loses it gets a new one.
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when done; 1 where there is no such key or the ledger does not answer."""
    try:
        ledger = open_ledger(settings)
    except LedgerError as exc:
        print(f"govsense keys: {exc}", file=sys.stderr)
        return 1
    try:
        return _run(args, ledger, time.time_ns() // 1_000_000, _user())
    except KeyError:
        print(f"govsense keys: there is no key {args.key!r}; `govsense keys list` shows them",
              file=sys.stderr)  # fmt: skip
    except ValueError as exc:
        print(f"govsense keys: {exc}", file=sys.stderr)
    finally:
        ledger.close()
    return 1


def _run(args: argparse.Namespace, ledger: Ledger, now_ms: int, by: str) -> int:
    if args.action == "create":
        made = keys.create_key(
            ledger, name=args.name, role=args.role, days=args.days, now_ms=now_ms, by=by,
            provinces=args.province, agencies=args.agency,
        )  # fmt: skip
        return _show_once(made)
    if args.action == "rotate":
        made = keys.rotate_key(
            ledger, args.key, days=args.days, overlap_h=args.overlap_hours, now_ms=now_ms, by=by
        )
        return _show_once(made)
    if args.action == "revoke":
        key = keys.revoke_key(ledger, args.key, now_ms=now_ms, by=by)
        print(f"{key.id} ({key.name}) is revoked")
        return 0
    known = keys.list_keys(ledger)
    if not known:
        how = "`govsense keys create --name NAME --role admin` makes the first"
        print(f"there is no key yet; {how}", file=sys.stderr)
    for key in known:
        print(_json(key, now_ms) if args.json else _line(key, now_ms))
    return 0


def _show_once(made: keys.NewKey) -> int:
    key = made.key
    print(made.text)
    print(f"{key.id}: {key.name}, {key.role} of {_scope(key)}, until {_time(key.expires_ms)}."
          " This key is not shown again.", file=sys.stderr)  # fmt: skip
    return 0


def _line(key: keys.Key, now_ms: int) -> str:
    used = f"used {_time(key.last_used_ms)}" if key.last_used_ms else "never used"
    replaced = f", replaced by {key.replaced_by}" if key.replaced_by else ""
    return (
        f"{key.id}  gvs_{key.prefix}_...  {key.role:8}  {key.state(now_ms):7}"
        f"  until {_time(key.expires_ms)}  {used}  {_scope(key)}  {key.name}{replaced}"
    )


def _json(key: keys.Key, now_ms: int) -> str:
    facts = {**key._asdict(), "state": key.state(now_ms)}
    del facts["hash"]
    return json.dumps(facts, ensure_ascii=False)


def _scope(key: keys.Key) -> str:
    limits = [", ".join(names) for names in (key.provinces, key.agencies) if names is not None]
    return "; ".join(limits) or "the whole country"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def _user() -> str:
    try:
        return f"command line, {getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, as in a container
        return "command line"


def _add_days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days",
        type=_length,
        default=DAYS,
        metavar="N",
        help="until it ends, 0 to 3650 (default: 365)",
    )


def _length(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 3650:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 3650")
    return value


def _name(text: str) -> str:
    if not (text.strip() and text.isprintable() and len(text) <= LONGEST_NAME):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a name of 1 to {LONGEST_NAME} printable characters"
        )
    return text.strip()
