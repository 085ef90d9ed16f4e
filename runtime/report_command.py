"""`govsense report`: issue a connectivity report, and verify one that somebody was given."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from devices.geography import PROVINCES
from reports.gathering import TooMuchError
from reports.issuing import FINAL, Asked, loaded, report_now
from reports.periods import PeriodError, period_named
from reports.verifying import Findings, NoReportError, examine
from runtime.clock import clock_from
from runtime.report_rules import rules_from
from runtime.settings import Settings
from runtime.stores import open_ledger
from storage.ledger.inventory import get_site
from storage.ledger.migrations import Ledger, LedgerError
from storage.ledger.report_data import Within

SCOPE = Within._fields
WRONG, UNTOLD = 1, 3  # exit codes of `verify`; 2 is a wrong call


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which report."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="issue|verify")
    issuing = actions.add_parser("issue", help="keep the final report of a period, and print it")
    issuing.add_argument("period", metavar="PERIOD", help="2026, 2026-10 or 2026-10-05")
    issuing.add_argument(
        "--calendar", choices=("24x7", "working-hours"), default="24x7", help="default: 24x7"
    )
    issuing.add_argument(
        "--province", choices=sorted(PROVINCES), metavar="CODE", help="of one province only"
    )
    for name in SCOPE[1:]:
        issuing.add_argument(f"--{name}", metavar="ID", help=f"of one {name} only")
    verifying = actions.add_parser("verify", help="compare a report with the stored data")
    verifying.add_argument("file", type=Path, metavar="FILE", help="JSON, CSV or HTML")
    for action in (issuing, verifying):
        action.epilog = "`govsense report --help` has examples."
    parser.epilog = """examples:
  govsense report issue 2026-10 > october.json
  govsense report issue 2026-10 --calendar working-hours --province LA-LP
  govsense report verify october.json

verify exits with 0 where every byte is right, 1 where something is wrong, and 3 where nothing
is known to be wrong and something cannot be told here: why, and what to do, is said.
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when issued, or when every byte is right; 1 if not, with the reasons on standard error.

    3 where nothing is known to be wrong, and it cannot be told here that it is right.
    """
    rules = rules_from(settings)
    try:
        ledger = open_ledger(settings)
    except LedgerError as exc:
        return _say(str(exc))
    try:
        if args.action == "verify":
            return _tell(args.file, examine(args.file.read_bytes(), ledger, rules))
        return _issue(args, settings, ledger)
    except OSError as exc:
        return _say(f"{args.file}: {exc.strerror or exc}")
    except NoReportError as exc:
        return _say(f"{args.file}: {exc}; give it as `govsense report issue` or the API wrote it")
    except PeriodError as exc:
        return _say(f"{args.period}: {exc}; give a year 2026, a month 2026-10 or a day 2026-10-05")
    except TooMuchError as exc:
        return _say(f"{args.period}: {exc}; ask for a shorter time or a --province")
    finally:
        ledger.close()


def _issue(args: argparse.Namespace, settings: Settings, ledger: Ledger) -> int:
    within = Within(**{name: getattr(args, name) for name in SCOPE})
    if within.site is not None and get_site(ledger, within.site) is None:
        return _say(f"there is no site {within.site!r}; `govsense registry export DIR` lists them")
    asked = Asked(within, period_named(args.period), args.calendar)
    text = report_now(ledger, asked, rules_from(settings), clock_from(settings.clock).now_ms())
    print(text, end="")
    report = loaded(text)
    if not report["total"]["sites"]:
        _say(
            "no site has anything in it: nothing was measured then, or nothing fits what was asked"
        )
    if report["status"] != FINAL:
        hours = settings.reports.settling_hours
        return _say(f"the period {args.period} is final {hours} h after its end, not yet")
    _say(f"revision {report['revision']}, digest {report['digest']}")
    return 0


def _tell(file: Path, found: Findings) -> int:
    for sentence in (*found.wrong, *found.untold, *found.notes):
        _say(sentence)
    if found.wrong:
        _say(f"{file} is NOT what is stored here: somebody changed it, or what it was made of")
        return WRONG
    if found.untold:
        _say(f"{file}: nothing in it is known to be wrong; whether it is right is not told here")
        return UNTOLD
    print(f"{file}: every byte is as the stored data gives it, by the settings that it quotes")
    return 0


def _say(text: str) -> int:
    print(f"govsense report: {text}", file=sys.stderr)
    return 1
