"""`govsense api`: the HTTP API and its page."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from runtime import log as log_format
from runtime.clock import clock_from
from runtime.loops import Loops
from runtime.report_rules import rules_from
from runtime.settings import Settings
from runtime.stores import open_ledger, open_series
from storage.ledger.migrations import LedgerError
from storage.series.file import SeriesError

log = logging.getLogger(__name__)

PORT_FILE = "api.port"
STOP_WITHIN_S = 3  # event streams and slow answers are cut off after this


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen."""
    parser.add_argument("--host", metavar="ADDRESS", help="overrides http.host")
    parser.add_argument(
        "--port", type=int, metavar="PORT", help="overrides http.port; 0 takes any free one"
    )
    parser.epilog = """examples:
  govsense api                listen on 127.0.0.1:8080
  govsense api --port 0       listen on any free port and print it
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Answer until SIGTERM or SIGINT: 0. 1 where it cannot listen or open the stores, 2 if refused.

    While it runs, `api.port` in the data directory holds the port.
    """
    log_format.configure("api")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    host = args.host or settings.http.host
    port = settings.http.port if args.port is None else args.port
    if not (_is_loopback(host) or settings.http.allow_unauthenticated):
        print(
            f"govsense api: {host} can be reached from other machines, and the API has no login"
            " yet. Listen on 127.0.0.1, or set http.allow_unauthenticated = true if a proxy in"
            " front of it decides who may call.",
            file=sys.stderr,
        )
        return 2
    rules = rules_from(settings)
    try:
        listener = _listen(host, port)
        ledger = open_ledger(settings)
        clock = clock_from(settings.clock)
        series = open_series(settings, ledger, clock.now_ms, read_only=True)
    except (OSError, LedgerError, SeriesError) as exc:
        print(f"govsense api: {exc}", file=sys.stderr)
        return 1
    app = create_app(
        ledger=ledger,
        series=series,
        now_ms=clock.now_ms,
        allowed_hosts=settings.http.allowed_hosts,
        loops=Loops(settings, clock.now_ms, ledger).look,
        clock_speed=clock.speed,
        rules=rules,
        disks=(settings.data_dir,),
    )
    try:
        _serve(app, listener, settings.data_dir)
    finally:
        series.close()
        ledger.close()
    return 0


def _serve(app: FastAPI, listener: socket.socket, data_dir: Path) -> None:
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_WITHIN_S,
        )
    )

    def stop(number: int, frame: FrameType | None) -> None:
        server.should_exit = True

    # uvicorn takes signals over while it serves, and raises the one that stopped it again at its
    # end: with handlers of ours around it none is lost before, and we end by returning after.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    host, port = listener.getsockname()[:2]
    port_file = data_dir / PORT_FILE
    port_file.write_text(f"{port}\n", encoding="ascii")
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    try:
        server.run(sockets=[listener])
    finally:
        port_file.unlink(missing_ok=True)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Unless TCP is named, asyncio leaves Nagle on, and every answer takes 40 ms more.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        raise OSError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc
    return listener


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
