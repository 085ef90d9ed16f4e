"""`govsense health`: whether a process that runs on this machine is alive, for health checks."""

from __future__ import annotations

import argparse
import sys
import time

import httpx
from sqlalchemy.exc import SQLAlchemyError

from ingest.journal.head import Head, Shortage
from runtime.clock import clock_from
from runtime.loops import Loops
from runtime.settings import Settings
from storage.ledger.migrations import LedgerError

ANSWER_WITHIN_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which process to look at."""
    parser.add_argument("process", choices=("ingest", "api"))
    parser.epilog = """examples:
  govsense health ingest    exit 0: connected to the broker, and every loop moves
  govsense health api       exit 0: the API answers
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 where the process is well; else 1, with one line that says what is wrong."""
    wrong = _ingest(settings) if args.process == "ingest" else _api(settings)
    print(wrong or "well", file=sys.stderr if wrong else sys.stdout)
    return 1 if wrong else 0


def _ingest(settings: Settings) -> str:
    """What is wrong with ingest, "" for nothing."""
    try:
        head = Head(settings.data_dir / "journal", create=False)
    except (OSError, ValueError):  # ValueError: being made, or of an older govsense
        return f"there is no journal in {settings.data_dir}"
    connection = head.connection(time.monotonic_ns())
    shortage = head.shortage(time.monotonic_ns())
    head.close()
    if shortage:
        full = "disk" if shortage is Shortage.DISK else "journal"
        return f"intake has stopped, the {full} is full: it goes on by itself when there is room"
    try:
        loops = Loops(settings, clock_from(settings.clock).now_ms)
    except LedgerError as exc:
        return str(exc)
    try:
        found = loops.look()
    except SQLAlchemyError as exc:
        return f"the ledger does not answer: {exc}"
    finally:
        loops.close()
    still = [f"the {one.name} has not moved for {one.silent_s:.0f} s" for one in found
             if one.stands_still]  # fmt: skip
    if still:
        return "; ".join(still)
    if "processor" not in {one.name for one in found}:
        return "the processor has never run"
    return "" if connection else "the receiver has no connection to the broker"


def _api(settings: Settings) -> str:
    """What is wrong with the API, "" for nothing."""
    host = "127.0.0.1" if settings.http.host in ("0.0.0.0", "::") else settings.http.host
    url = f"http://{host}:{settings.http.port}/api/v1/health"
    name = settings.http.allowed_hosts.split(",")[0].strip()
    try:
        answer = httpx.get(url, headers={"Host": name}, timeout=ANSWER_WITHIN_S, trust_env=False)
    except httpx.HTTPError as exc:
        return f"{url}: {exc}"
    return "" if answer.status_code == 200 else f"{url} answers {answer.status_code}"
