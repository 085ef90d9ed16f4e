"""The path of a message: messages a second from broker to committed, and how long one takes.

    python -m bench.path                        single readings, as fast as they are taken
    python -m bench.path --rounds 50            batched payloads of 50 rounds
    python -m bench.path --rate 2000            latency at 2,000 messages a second

Broker, load and ingest run on this machine, with detection on.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from bench.mqtt_load import publish
from devices.registry import Device, Registry, Site, Uplink
from runtime.ports import is_open, require_free
from storage.ledger import stats, totals
from storage.ledger.migrations import Ledger, open_ledger
from storage.ledger.registry import add_registry

SPACING_MS = 1000  # between two rounds of a batched payload
MOSQUITTO = """listener {port} 127.0.0.1
allow_anonymous true
max_inflight_messages 2000
max_queued_messages 10000000
set_tcp_nodelay true
"""


def main() -> None:
    """Run one measurement and print its figures."""
    args = _arguments()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        port = require_free("127.0.0.1", 0, what="the bench", flag="")
        ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
        add_registry(ledger, registry_of(args.devices))
        broker = _start_broker(args.broker, port, directory)
        ingest = _start_ingest(port, directory)
        try:
            wait(lambda: _gauges(ledger).get("broker_connected"), "ingest did not connect")
            _measure(args, port, ledger, {"broker": broker, "ingest": ingest})
        finally:
            ingest.terminate()
            ingest.wait(20)
            broker.terminate()
            broker.wait(10)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=1, help="rounds of six metrics a message")
    parser.add_argument("--rate", type=float, help="messages a second (default: unlimited)")
    parser.add_argument("--broker", choices=("mosquitto", "embedded"), default="mosquitto")
    return parser.parse_args()


def _measure(
    args: argparse.Namespace,
    port: int,
    ledger: Ledger,
    processes: dict[str, subprocess.Popen[bytes]],
) -> None:
    before = _cpu_s(processes)
    began = time.perf_counter()
    publish("127.0.0.1", port, _messages(args), rate=args.rate)
    published_s = time.perf_counter() - began
    wait(lambda: _committed(ledger) >= args.messages, "messages were lost", within_s=300)
    took = time.perf_counter() - began
    after = _cpu_s(processes)
    time.sleep(1.5)  # the gauges of the last second
    gauges = _gauges(ledger)
    readings = args.messages * args.rounds * 6
    print(f"{args.messages} messages, {args.rounds} rounds of six metrics, {args.devices} devices")
    print(f"published in         {published_s:.2f} s")
    print(f"committed in         {took:.2f} s: {args.messages / took:,.0f} messages/s,"
          f" {readings / took:,.0f} readings/s")  # fmt: skip
    for name in sorted(after):
        print(f"processor time       {name:12} {after[name] - before.get(name, 0):.2f} s")
    for name in ("event_to_stored_ms", "event_to_alert_ms"):
        span = gauges[name]
        print(f"{name:20} p50 {span['p50']}, p99 {span['p99']}, n {span['count']}")
    series = gauges["series"]
    print(f"resident             {gauges['resident_bytes'] / 2**20:.0f} MiB with {series} series")


def _messages(args: argparse.Namespace) -> Iterator[tuple[str, bytes]]:
    """Messages as devices send them; every tenth device has spells of heavy loss."""
    for n in range(args.messages):
        device, turn = n % args.devices, n // args.devices
        now_ms = time.time_ns() // 1_000_000
        bad = device % 10 == 0 and turn % 40 >= 20
        rounds = []
        for r in range(args.rounds):
            at_ms = now_ms - (args.rounds - 1 - r) * SPACING_MS
            rtt = 20 + (7919 * (n * 31 + r)) % 1009 / 100
            loss = 60 if bad else 0
            rounds.append(
                f'{{"seq":{turn * args.rounds + r},"ts":{at_ms},"m":{{"nat_rtt_p50_ms":{rtt:.2f},'
                f'"nat_rtt_p95_ms":{rtt * 1.5:.2f},"nat_jitter_ms":{rtt / 9:.2f},'
                f'"nat_loss_pct":{loss},"dns_ms":{rtt * 2:.1f},"tcp_ms":{rtt:.1f}}}}}'
            )
        if args.rounds == 1:
            payload = '{"v":1,"boot":"b",' + rounds[0][1:]
        else:
            payload = '{"v":1,"boot":"b","r":[' + ",".join(rounds) + "]}"
        yield f"gov/v1/LA-LP/bench-{device}/telemetry", payload.encode()


def registry_of(count: int) -> Registry:
    uplink = Uplink("bench", "fibre", None, None)
    site = Site("bench", "Bench", "", "office", "LA-LP", "luangprabang", None, None, "bench",
                (uplink,), "", "normal")  # fmt: skip
    devices = {
        f"bench-{n}": Device(f"bench-{n}", "bench", "connectivity-probe", 60.0, 1, {})
        for n in range(count)
    }
    return Registry({"bench": site}, devices)


def _start_broker(which: str, port: int, directory: Path) -> subprocess.Popen[bytes]:
    if which == "mosquitto":
        file = directory / "mosquitto.conf"
        file.write_text(MOSQUITTO.format(port=port))
        command = ["mosquitto", "-c", str(file)]
    else:
        command = [sys.executable, "-m", "runtime.broker", "127.0.0.1", str(port), str(directory)]
    broker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait(lambda: is_open("127.0.0.1", port), "the broker did not start")
    return broker


def _start_ingest(port: int, directory: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "GOVSENSE_MQTT__PORT": str(port)}
    command = [sys.executable, "-m", "runtime", "--data-dir", str(directory), "ingest"]
    return subprocess.Popen(command, env=environment)


def _cpu_s(processes: dict[str, subprocess.Popen[bytes]]) -> dict[str, float]:
    found = {}
    for name, process in processes.items():
        parent = psutil.Process(process.pid)
        found[name] = sum(parent.cpu_times()[:2])
        for child in parent.children():
            found[f"{name} child"] = sum(child.cpu_times()[:2])
    found["load"] = sum(psutil.Process().cpu_times()[:2])
    return found


def _committed(ledger: Ledger) -> int:
    counts = totals.read(ledger).counts
    return sum(counts.get(f"messages_{o}", 0) for o in ("stored", "duplicate", "quarantined"))


def _gauges(ledger: Ledger) -> dict[str, Any]:
    beats = stats.read(ledger)
    return dict(beats["ingest"].data) if "ingest" in beats else {}


def wait(condition: Any, complaint: str, *, within_s: float = 30) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"bench.path: {complaint}")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
