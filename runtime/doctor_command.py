"""`govsense doctor`: tries what the platform needs, one line for each thing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from ingest.broker_checks import Login, check_broker, is_loopback
from ingest.receiver import Broker
from runtime.machine_checks import check_machine
from runtime.settings import Settings
from runtime.stores import influx_address, ledger_password_file, uses_influxdb
from storage.checks import Check
from storage.influx.checks import check_influx
from storage.ledger.checks import check_ledger


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As whom to try to spoof, and how to answer."""
    parser.add_argument(
        "--device", metavar="ID", help="a registered device, as which to try to spoof another one"
    )
    parser.add_argument(
        "--password-file", type=Path, metavar="FILE", help="its password at the broker"
    )
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    parser.epilog = """examples:
  govsense doctor
  govsense doctor --device probe-0042 --password-file probe.secret    also tries to spoof
  govsense doctor --json

A line each: ok, warning or wrong; what; why, and how to mend it. Exit 0 if nothing is wrong. It may
run beside a running platform: what it publishes goes to names that no device has.
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 if nothing is wrong, 1 if something is; 2 for half a login."""
    if (args.device is None) != (args.password_file is None):
        print("govsense doctor: --device and --password-file belong together")
        return 2
    device = Login(args.device, str(args.password_file)) if args.device else None
    states = set()
    for check in _checks(settings, device):
        states.add(check.state)
        if args.json:
            print(json.dumps(check._asdict(), ensure_ascii=False), flush=True)
        else:
            print(f"{check.state:<8} {check.what:<24} {check.why}", flush=True)
    return 1 if "wrong" in states else 0


def _checks(settings: Settings, device: Login | None) -> Iterator[Check]:
    yield from check_machine(settings)
    yield from _links(settings)
    yield from check_ledger(settings.ledger_url, ledger_password_file(settings))
    if uses_influxdb(settings):
        yield from check_influx(
            influx_address(settings, write=True), influx_address(settings, write=False)
        )
    mqtt = settings.mqtt
    broker = Broker(
        mqtt.host, mqtt.port, mqtt.client_id, mqtt.username, mqtt.password_file, mqtt.tls_ca
    )
    yield from check_broker(broker, device)


def _links(settings: Settings) -> Iterator[Check]:
    mqtt = settings.mqtt
    if not is_loopback(mqtt.host) and mqtt.username and not mqtt.tls_ca:
        yield Check("warning", "mqtt.tls_ca", f"our password goes to {mqtt.host} in clear: set"
                    " mqtt.tls_ca, unless the way there is private")  # fmt: skip
