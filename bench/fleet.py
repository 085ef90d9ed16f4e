"""The simulated fleet: messages a second that it publishes, each device on its own connection.

    python -m bench.fleet                       500 probes, each with an outbox
    python -m bench.fleet --connections 4       the same over four shared connections

Mosquitto and the fleet run on this machine; nobody listens.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from bench.path import registry_of, wait
from devices.probe.client import Broker
from runtime.ports import is_open, require_free
from simulators.fleet import Access, Fleet, Timebase
from simulators.run import prepare
from simulators.scenario import Scenario

START_MS = 1_790_000_000_000
SPEED = 1_000_000.0  # so that only the broker and the fleet themselves hold it back
MOSQUITTO = "listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n"


def main() -> None:
    """Play one run as fast as it goes and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=500)
    parser.add_argument("--minutes", type=int, default=60, help="rounds of each device")
    parser.add_argument("--connections", type=int, help="share so many (default: one each)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        port = require_free("127.0.0.1", 0, what="the bench", flag="")
        file = Path(name) / "mosquitto.conf"
        root = "user root\n" if os.getuid() == 0 else ""
        file.write_text(MOSQUITTO.format(port=port) + root)
        with subprocess.Popen(["mosquitto", "-c", str(file)], stderr=subprocess.DEVNULL) as broker:
            try:
                wait(lambda: is_open("127.0.0.1", port), "the broker did not start")
                _measure(args, port)
            finally:
                broker.terminate()


def _measure(args: argparse.Namespace, port: int) -> None:
    run = prepare(
        registry_of(args.devices),
        Scenario("none"),
        seed=1,
        start_ms=START_MS,
        end_ms=START_MS + args.minutes * 60_000,
    )
    origin = time.monotonic()
    now_ms = lambda: START_MS + round((time.monotonic() - origin) * 1000 * SPEED)  # noqa: E731
    fleet = Fleet(
        Broker("127.0.0.1", port),
        run.identities,
        Access(shared=args.connections),
        timebase=Timebase(now_ms, SPEED),
    )
    process = psutil.Process()
    before, began = sum(process.cpu_times()[:2]), time.perf_counter()
    fleet.play(run.steps(), lambda: False)
    took, used = time.perf_counter() - began, sum(process.cpu_times()[:2]) - before
    count = fleet.tally.acknowledged
    print(f"{args.devices} devices on {fleet.connections} connections: {count} acknowledged,"
          f" {fleet.pending} pending, {fleet.tally.dropped} dropped")  # fmt: skip
    print(f"messages a second    {count / took:,.0f}")
    print(f"processor time       {used / count * 1e6:.0f} µs a message")
    print(f"resident             {process.memory_info().rss / 2**20:.0f} MiB", file=sys.stdout)


if __name__ == "__main__":
    main()
