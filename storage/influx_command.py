"""`govsense influx`: make an InfluxDB ready for telemetry."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from runtime.settings import Settings
from storage.influx import credentials, setup
from storage.influx.server import Address, InfluxError, Server
from storage.series.retention import Retention


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and at which server."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    init = actions.add_parser(
        "init", help="make databases or buckets with their retention, check that all works"
    )
    init.add_argument("--url", default="http://127.0.0.1:8086", help="where InfluxDB listens")
    init.add_argument("--database", default="govsense", help="name of the database or bucket")
    init.add_argument("--org", default="", help="organisation, for InfluxDB 2")
    init.add_argument(
        "--admin-token-file", type=Path, metavar="FILE",
        help="file that holds an all-access token, or user:password of an administrator for 1.x",
    )  # fmt: skip
    init.add_argument(
        "--credentials", type=Path, metavar="DIR",
        help=f"also make a write-only and a read-only credential, in {credentials.WRITER} and"
        f" {credentials.READER} of this directory",
    )  # fmt: skip
    parser.epilog = """examples:
  govsense influx init                                        1.x without users, on this machine
  govsense influx init --url http://db:8086 --org ministry \\
      --admin-token-file admin --credentials secrets          2.x, with credentials of least rights

It may be run again: what is there stays, and gets the retention of the settings. Databases: NAME
for raw readings, NAME_5m, NAME_1h and NAME_1d for what is kept of them longer.
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when all is ready; 1 where the server refuses or cannot do it, and why."""
    address = Address(args.url, args.database, args.org, args.admin_token_file)
    keep = settings.storage
    retention = Retention(keep.raw_days, keep.five_minute_days, keep.hour_days)
    server = Server(address)
    try:
        version = ".".join(map(str, server.version()))
        print(f"InfluxDB {version} at {args.url}")
        for done in setup.create(server, retention):
            print(done)
        if args.credentials is not None:
            for file in credentials.grant(server, args.credentials):
                print(f"credential in {file}")
        setup.check_questions(server)
    except (InfluxError, setup.UnsupportedError, OSError, ValueError) as exc:
        print(f"govsense influx: {exc}", file=sys.stderr)
        return 1
    finally:
        server.close()
    print("every kind of question is answered")
    return 0
