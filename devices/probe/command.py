"""`govsense probe`: measure the way from this machine to the network, and publish it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from devices.probe.agent import Agent
from devices.probe.client import Broker
from devices.probe.config import ProbeConfig, ProbeConfigError, read_config
from devices.probe.measure import measure
from devices.probe.outbox import Outbox
from runtime import log as log_format
from runtime.clock import clock_from
from runtime.settings import Settings
from runtime.stopping import stop_requested

EPILOG = """examples:
  govsense probe --device probe-0042 --province LA-LP --config probe.toml
  govsense probe --device p1 --province LA-VT --targets gw=gateway,nat=192.0.2.1 --once
  govsense probe --device p1 --province LA-VT --targets nat=tcp://192.0.2.1:443 \\
      --dns-zone probe.example.la --http-url https://portal.example.la/ --http-expect Welcome

probe.toml holds the same keys: device, province, interval_s, timeout_s, packets, dns_server,
dns_zone, http_url, http_expect, outbox, buffer_rounds, and a table [targets] with gw, isp, nat,
int. What has no receipt of the platform yet is kept in the outbox, a file of this device alone.
A target is a host or an address; gateway is this machine's own; tcp:// never tries ICMP.
Only what is asked for is measured. The broker's address and login are in the settings (mqtt.*);
with a password and no user name the device's id is the user name.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Who the probe is and what it measures; flags win over the file."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="probe.toml")
    parser.add_argument("--device", metavar="ID", help="this probe's id in the registry")
    parser.add_argument("--province", metavar="CODE", help="like LA-LP")
    parser.add_argument("--interval-s", type=float, metavar="S", help="between rounds (60)")
    parser.add_argument("--timeout-s", type=float, metavar="S", help="for each reply (3)")
    parser.add_argument("--packets", type=int, metavar="N", help="a round to each target (10)")
    parser.add_argument("--targets", metavar="TIER=HOST,...", help="gw, isp, nat, int")
    parser.add_argument("--dns-server", metavar="ADDRESS", help="default: the machine's")
    parser.add_argument("--dns-zone", metavar="ZONE", help="ask for random names under it")
    parser.add_argument("--http-url", metavar="URL", help="fetch this page")
    parser.add_argument("--http-expect", metavar="TEXT", help="that the page must hold")
    parser.add_argument("--outbox", metavar="FILE", help="default: in the data directory")
    parser.add_argument("--once", action="store_true", help="print one round, publish nothing")
    parser.add_argument(
        "--self-test",
        metavar="URL",
        help="measure this machine itself: its gateway, its loopback and this page",
    )
    parser.epilog = EPILOG


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Measure until told to stop: 0. 2 where the configuration is wrong."""
    log_format.configure("probe")
    stopping = stop_requested()
    try:
        config = read_config(args.config, _given(args))
        if args.once:
            measured = measure(config)
            print(json.dumps({"m": measured.values, "a": measured.attributes}, indent=2))
            return 0
        broker = _broker(settings)
        username, password = _login(settings, config)
        file = config.outbox or settings.data_dir / f"outbox-{config.device}.db"
        outbox = Outbox(file, config.buffer_rounds)
    except (ProbeConfigError, OSError) as exc:
        print(f"govsense probe: {exc}", file=sys.stderr)
        return 2
    clock = clock_from(settings.clock)
    agent = Agent(
        config,
        broker,
        outbox=outbox,
        measure=measure,
        now_ms=clock.now_ms,
        speed=clock.speed,
        username=username,
        password=password,
    )
    agent.run(stopping)
    outbox.close()
    return 0


def _given(args: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if args.self_test:
        given["targets"] = "gw=gateway,isp=127.0.0.1,nat=127.0.0.1"
        given["http_url"] = args.self_test
    for name in (
        "device", "province", "interval_s", "timeout_s", "packets", "targets", "dns_server",
        "dns_zone", "http_url", "http_expect", "outbox",
    ):  # fmt: skip
        if getattr(args, name) is not None:
            given[name] = getattr(args, name)
    return given


def _broker(settings: Settings) -> Broker:
    mqtt = settings.mqtt
    if not mqtt.port:
        raise ProbeConfigError("mqtt.port is 0; it must be the port of a broker that runs")
    return Broker(mqtt.host, mqtt.port, mqtt.tls_ca)


def _login(settings: Settings, config: ProbeConfig) -> tuple[str, str]:
    """User name and password; "" where the settings hold none."""
    mqtt = settings.mqtt
    password = ""
    if mqtt.password_file:
        password = Path(mqtt.password_file).read_text("utf-8").split("\n", 1)[0].strip()
    return mqtt.username or (config.device if password else ""), password
