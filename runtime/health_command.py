"""`govsense health`: whether a process that runs on this machine is alive, for health checks."""

from __future__ import annotations

import argparse
import sys
import time

import httpx

from ingest.journal.head import Head, Shortage
from runtime.clock import clock_from
from runtime.settings import Settings
from runtime.stores import open_ledger
from storage.ledger import stats
from storage.ledger.migrations import LedgerError

FRESH_MS = 15_000  # ingest leaves a heartbeat every second
ANSWER_WITHIN_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which process to look at."""
    parser.add_argument("process", choices=("ingest", "api"))
    parser.epilog = """examples:
  govsense health ingest    exit 0: connected to the broker, and both loops move
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
    except (OSError, ValueError):  # ValueError: of an older govsense, and not taken over yet
        return f"there is no journal in {settings.data_dir}"
    connection = head.connection(time.monotonic_ns())
    shortage = head.shortage(time.monotonic_ns())
    head.close()
    if shortage:
        full = "disk" if shortage is Shortage.DISK else "journal"
        return f"intake has stopped, the {full} is full: it goes on by itself when there is room"
    if not connection:
        return "the receiver has no connection to the broker, or does not run"
    try:
        ledger = open_ledger(settings)
    except LedgerError as exc:
        return str(exc)
    beat = stats.read(ledger).get("ingest")
    ledger.close()
    age_ms = clock_from(settings.clock).now_ms() - beat.at_ms if beat else None
    if age_ms is None or age_ms > FRESH_MS * settings.clock.speed:
        return "the processor has left no heartbeat for 15 s"
    return ""


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
