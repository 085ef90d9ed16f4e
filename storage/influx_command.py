"""`govsense influx`: make an InfluxDB ready for telemetry."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from runtime.settings import Settings
from runtime.stores import retention
from storage.influx import credentials, setup
from storage.influx.server import Address, InfluxError, Server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which credentials."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    init = actions.add_parser(
        "init", help="make databases or buckets with their retention, check that all works"
    )
    init.add_argument(
        "--admin-token-file", type=Path, metavar="FILE",
        help="file that holds an all-access token, or user:password of an administrator for 1.x",
    )  # fmt: skip
    init.add_argument(
        "--credentials", type=Path, metavar="DIR",
        help=f"also make a write-only and a read-only credential, {credentials.WRITER} and"
        f" {credentials.READER} below this directory; those that work stay",
    )  # fmt: skip
    init.add_argument(
        "--renew-credentials", action="store_true", help="make new ones also where the old work"
    )
    parser.epilog = """examples:
  govsense influx init                                    where nobody needs a password
  govsense influx init --admin-token-file admin \\
      --credentials secrets                               with credentials for ingest and API

Server, database and organisation are those of the settings in [influx]. It may be run again: what
is there stays, and gets the retention of the settings. Raw readings go to the database itself,
roll-ups to those whose names end in _5m, _1h and _1d.
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when all is ready; 1 where the server refuses or cannot do it, and why."""
    influx = settings.influx
    address = Address(influx.url, influx.database, influx.org, args.admin_token_file)
    server = Server(address)
    try:
        version = ".".join(map(str, server.version()))
        print(f"InfluxDB {version} at {influx.url}")
        for done in setup.create(server, retention(settings)):
            print(done)
        if args.credentials is not None:
            renew = args.renew_credentials
            for file in credentials.grant(server, args.credentials, renew=renew):
                print(f"new credential in {file}")
        setup.check_questions(server)
    except (InfluxError, setup.UnsupportedError, OSError, ValueError) as exc:
        print(f"govsense influx: {exc}", file=sys.stderr)
        return 1
    finally:
        server.close()
    print("every kind of question is answered")
    return 0
