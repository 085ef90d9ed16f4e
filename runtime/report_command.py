"""`govsense report`: issue a connectivity report, and verify one that somebody was given."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reports.gathering import TooMuchError
from reports.issuing import FINAL, Asked, loaded, report_now
from reports.periods import PeriodError, period_named
from reports.verifying import NoReportError, verify
from runtime.clock import clock_from
from runtime.report_rules import rules_from
from runtime.settings import Settings
from runtime.stores import open_ledger
from storage.ledger.migrations import Ledger, LedgerError
from storage.ledger.report_data import Within

SCOPE = Within._fields


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which report."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    issuing = actions.add_parser("issue", help="keep the final report of a period, and print it")
    issuing.add_argument("period", metavar="PERIOD", help="2026, 2026-10 or 2026-10-05")
    issuing.add_argument(
        "--calendar", choices=("24x7", "working-hours"), default="24x7", help="default: 24x7"
    )
    for name in SCOPE:
        issuing.add_argument(f"--{name}", metavar="ID", help=f"of one {name} only")
    verifying = actions.add_parser("verify", help="compare a report with the stored data")
    verifying.add_argument("file", type=Path, metavar="FILE", help="JSON, CSV or HTML")
    parser.epilog = """examples:
  govsense report issue 2026-10 > october.json
  govsense report issue 2026-10 --calendar working-hours --province LA-LP
  govsense report verify october.json
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when issued, or when every byte is right; 1 if not, with the reasons on standard error."""
    rules = rules_from(settings)
    try:
        ledger = open_ledger(settings)
    except LedgerError as exc:
        return _say(str(exc))
    try:
        if args.action == "verify":
            found = verify(args.file.read_bytes(), ledger, rules)
            for problem in found:
                _say(problem)
            if not found:
                print(f"{args.file}: every byte is as the stored data gives it")
            return 1 if found else 0
        return _issue(args, settings, ledger)
    except (OSError, NoReportError, PeriodError, TooMuchError) as exc:
        return _say(f"{args.file if args.action == 'verify' else args.period}: {exc}")
    finally:
        ledger.close()


def _issue(args: argparse.Namespace, settings: Settings, ledger: Ledger) -> int:
    within = Within(**{name: getattr(args, name) for name in SCOPE})
    asked = Asked(within, period_named(args.period), args.calendar)
    text = report_now(ledger, asked, rules_from(settings), clock_from(settings.clock).now_ms())
    print(text, end="")
    report = loaded(text)
    if report["status"] != FINAL:
        hours = settings.reports.settling_hours
        return _say(f"the period {args.period} is final {hours} h after its end, not yet")
    _say(f"revision {report['revision']}, digest {report['digest']}")
    return 0


def _say(text: str) -> int:
    print(f"govsense report: {text}", file=sys.stderr)
    return 1
