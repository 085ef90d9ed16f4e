"""`govsense api`: the HTTP API and its page."""

from __future__ import annotations

import argparse
import gc
import ipaddress
import logging
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict
from types import FrameType

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.limits import limits_by_role
from api.origins import origins
from api.tokens import Issuer
from runtime import log as log_format
from runtime.arguments import whole_number
from runtime.clock import clock_from
from runtime.loops import Loops
from runtime.ports import LAST_PORT
from runtime.report_rules import rules_from
from runtime.settings import Oidc, Settings
from runtime.stores import open_ledger, open_series
from storage.first_key import tell_first_key
from storage.ledger.migrations import LedgerError
from storage.series.file import SeriesError

log = logging.getLogger(__name__)

PORT_FILE = "api.port"
STOP_WITHIN_S = 3  # event streams and slow answers are cut off after this


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to listen."""
    parser.add_argument("--host", metavar="ADDRESS", help="overrides http.host")
    parser.add_argument(
        "--port",
        type=whole_number(0, LAST_PORT, f"a port, 0 to {LAST_PORT}"),
        metavar="PORT",
        help="overrides http.port; 0 takes any free one",
    )
    parser.epilog = """examples:
  govsense api                listen on 127.0.0.1:8080
  govsense api --port 0       listen on any free port and print it
  govsense keys create --name me --role admin
                              make the key that every question needs; docs/api.md begins with it
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Answer until SIGTERM or SIGINT: 0. 1 where it cannot listen or open the stores, 2 if refused.

    While it runs, `api.port` in the data directory holds the port.
    """
    log_format.configure("api")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    host = args.host or settings.http.host
    port = settings.http.port if args.port is None else args.port
    if not (_is_loopback(host) or settings.http.allow_cleartext):
        print(
            f"govsense api: {host} can be reached from other machines, and keys would travel in"
            " clear. Listen on 127.0.0.1 behind a proxy with TLS, or set http.allow_cleartext ="
            " true if the way to it is private.",
            file=sys.stderr,
        )
        return 2
    report_rules = rules_from(settings)
    try:
        issuer, limits = _issuer(settings.oidc), limits_by_role(**asdict(settings.limits))
        origins(settings.http.allowed_origins)
    except ValueError as exc:
        print(f"govsense api: {exc}", file=sys.stderr)
        return 2
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
        report_rules=report_rules,
        disks=(settings.data_dir,),
        issuer=issuer,
        limits=limits,
        allowed_origins=settings.http.allowed_origins,
    )
    try:
        _serve(app, listener, settings, lambda: tell_first_key(ledger, sys.stdout))
    finally:
        series.close()
        ledger.close()
    return 0


def _issuer(oidc: Oidc) -> Issuer | None:
    """Whose tokens are taken. Raises ValueError."""
    if not (oidc.issuer or oidc.audience or oidc.jwks):
        return None
    algorithms = tuple(name.strip() for name in oidc.algorithms.split(",") if name.strip())
    return Issuer(**{**asdict(oidc), "algorithms": algorithms})


def _serve(
    app: FastAPI, listener: socket.socket, settings: Settings, tell: Callable[[], str]
) -> None:
    """Answer until stopped. tell: shows the first key; what is to be logged of that."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            proxy_headers=bool(settings.http.trusted_proxies),
            forwarded_allow_ips=settings.http.trusted_proxies,
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
    port_file = settings.data_dir / PORT_FILE
    port_file.write_text(f"{port}\n", encoding="ascii")
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)
    if missing := tell():
        log.warning(missing)
    # What the start has made stays: else every large answer has the collector walk all of it.
    gc.freeze()
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
