"""`govsense up`: the whole platform on one machine, on embedded defaults."""

from __future__ import annotations

import argparse
import fcntl
import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from runtime import log as log_format
from runtime.clock import Clock, clock_from
from runtime.loops import Loops
from runtime.ports import PortInUseError, is_open, require_free
from runtime.settings import Settings
from runtime.stopping import stop_requested
from runtime.supervisor import Supervisor
from runtime.up_country import country, try_scenario
from runtime.up_key import Api, api_with_own_key
from runtime.up_registry import OWN_PROBE, SIMULATED, register
from runtime.up_report import print_report, read_before, read_stats
from runtime.up_watch import Watch
from simulators.scenario import ScenarioError

READY_WITHIN_S = 60.0
DRAIN_WITHIN_S = 20.0
DEMO_INTERVAL_S = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to run beside the platform, where to listen, and when to stop."""
    parser.add_argument("--simulate", action="store_true", help="play a country of devices")
    parser.add_argument(
        "--sites", type=Path, metavar="PATH", help="registry files (default: sample)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the simulation (default: 1)")
    parser.add_argument(
        "--scenario", default="first-minute", metavar="NAME", help="faults to play (first-minute)"
    )
    parser.add_argument(
        "--interval-s",
        type=_positive,
        default=DEMO_INTERVAL_S,
        metavar="S",
        help="seconds between two rounds of a simulated device (default: 5)",
    )
    parser.add_argument(
        "--seconds",
        type=_positive,
        metavar="N",
        help="stop after N seconds and report (first-minute needs 60)",
    )
    parser.add_argument("--broker-port", type=int, metavar="PORT", help="of the embedded broker")
    parser.add_argument("--http-port", type=int, metavar="PORT", help="of the API and its page")
    parser.add_argument("--no-probe", action="store_true", help="do not measure this machine")
    parser.epilog = """examples:
  govsense up                            broker, ingest and API on this machine
  govsense up --simulate                 the same with a simulated country
  govsense up --simulate --seconds 60    the same for a minute; exit 0 if all went well
  govsense up --http-port 9000           where port 8080 is taken
"""


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


@dataclass(frozen=True)
class Plan:
    """What is to be run, with the ports that are really used."""

    args: argparse.Namespace
    settings: Settings
    clock: Clock
    broker_port: int
    http_port: int

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://{self.settings.http.host}:{self.http_port}"

    @property
    def environment(self) -> dict[str, str]:
        """Settings that the children share."""
        return {
            **self.clock.environment(),
            "GOVSENSE_PLATFORM__DATA_DIR": str(self.settings.data_dir.resolve()),
            "GOVSENSE_MQTT__PORT": str(self.broker_port),
            "GOVSENSE_HTTP__PORT": str(self.http_port),
        }

    def command(self, *arguments: str) -> list[str]:
        """The call of a govsense command with the same settings file."""
        options = ["--settings", str(self.args.settings)] if self.args.settings else []
        return [sys.executable, "-m", "runtime", *options, *arguments]


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run until told to stop, or for --seconds. 0 where all went well, else 1."""
    log_format.configure("up")
    try:
        plan = _plan(args, settings)
        if args.simulate:
            try_scenario(
                args.scenario, **_played(args), seed=args.seed, start_ms=plan.clock.now_ms()
            )
    except (PortInUseError, ScenarioError) as exc:
        print(f"govsense up: {exc}", file=sys.stderr)
        return 1
    held = _lock(settings.data_dir)
    if held is None:
        return 1
    stopping = stop_requested()
    supervisor = Supervisor()
    try:
        if why := _start(plan, supervisor, stopping):
            if stopping():
                return 0
            print(f"govsense up: {why} after {READY_WITHIN_S:.0f} s; the log above says why",
                  file=sys.stderr)  # fmt: skip
            return 1
        _say(f"ready: open {plan.url} in a browser (Ctrl-C stops)")
        loops = Loops(settings, plan.clock.now_ms)
        watch = Watch(supervisor, loops, plan.url)
        try:
            if args.seconds is not None:
                return _run_for(args.seconds, plan, watch, stopping)
            while not stopping():
                watch.look()
                time.sleep(0.2)
            return 0
        finally:
            loops.close()
    finally:
        _say("stopping")
        supervisor.stop()
        os.close(held)


def _lock(data_dir: Path) -> int | None:
    """An open file that says that we run over this data; None, and why, where we cannot."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        held = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        why = f"another govsense up runs over {data_dir}: stop it, or choose another directory"
    except OSError as exc:
        why = f"cannot write to {data_dir}: {exc.strerror}; choose another directory"
    else:
        return held
    print(f"govsense up: {why} with --data-dir DIR", file=sys.stderr)
    return None


def _plan(args: argparse.Namespace, settings: Settings) -> Plan:
    broker_port = settings.mqtt.port if args.broker_port is None else args.broker_port
    http_port = settings.http.port if args.http_port is None else args.http_port
    broker_port = require_free(
        settings.mqtt.host, broker_port, what="the MQTT broker", flag="--broker-port"
    )
    http_port = require_free(settings.http.host, http_port, what="the API", flag="--http-port")
    if broker_port == http_port:
        raise PortInUseError(
            f"port {http_port} is wanted for the MQTT broker and for the API:"
            " choose another one with --broker-port PORT or --http-port PORT"
        )
    return Plan(args, settings, clock_from(settings.clock), broker_port, http_port)


def _start(plan: Plan, supervisor: Supervisor, stopping: Callable[[], bool]) -> str:
    """Start every process; which one did not come up in time, or "" where all did."""
    data_dir, host = plan.settings.data_dir, plan.settings.mqtt.host
    registry = register(
        plan.settings,
        country=country(**_played(plan.args)) if plan.args.simulate else None,
        own_probe=not plan.args.no_probe,
    )
    _say(f"{len(registry.sites)} sites and {len(registry.devices)} devices are registered")
    environment = plan.environment
    _say(f"broker on {host}:{plan.broker_port}")
    supervisor.start(
        "broker",
        [sys.executable, "-m", "runtime.broker", host, str(plan.broker_port), str(data_dir)],
        environment,
    )
    if not _wait(lambda: is_open(host, plan.broker_port), supervisor, stopping):
        return "the broker does not answer"
    supervisor.start("ingest", plan.command("ingest"), environment)
    supervisor.start("api", plan.command("api"), environment)
    if not _wait(lambda: _is_ready(plan.url), supervisor, stopping):
        return f"{plan.url}/api/v1/ready does not answer 200"
    if not plan.args.no_probe:
        supervisor.start("probe", _probe_command(plan), environment)
    if plan.args.simulate:
        supervisor.start("simulate", _simulate_command(plan), environment)
    return ""


def _played(args: argparse.Namespace) -> dict[str, Any]:
    return {"sites": args.sites, "interval_s": args.interval_s}


def _probe_command(plan: Plan) -> list[str]:
    return plan.command(
        "probe", "--device", OWN_PROBE, "--province", "LA-VT", "--interval-s", "10",
        "--self-test", plan.url,
    )  # fmt: skip


def _simulate_command(plan: Plan) -> list[str]:
    data_dir, args = plan.settings.data_dir, plan.args
    return plan.command(
        "simulate", "--sites", str(data_dir / SIMULATED), "--seed", str(args.seed),
        "--scenario", args.scenario, "--truth", str(data_dir / "truth.jsonl"),
    )  # fmt: skip


def _run_for(seconds: float, plan: Plan, watch: Watch, stopping: Callable[[], bool]) -> int:
    with api_with_own_key(plan.settings, plan.url, seconds) as api:
        return _run_and_report(seconds, plan, watch, stopping, api)


def _run_and_report(
    seconds: float, plan: Plan, watch: Watch, stopping: Callable[[], bool], api: Api
) -> int:
    supervisor = watch.supervisor
    before = read_before(api)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not stopping():
        watch.look()
        left = until - time.monotonic()
        _progress(f"{seconds - left:3.0f} of {seconds:.0f} s  {_short(api)}")
        time.sleep(min(1.0, max(0.0, left)))
    _progress("")
    healthy = all(child.pid and not child.restarts for child in supervisor.children.values())
    supervisor.stop("simulate", "probe")
    _wait(lambda: _is_drained(api), supervisor, stopping, DRAIN_WITHIN_S)
    truth = plan.settings.data_dir / "truth.jsonl" if plan.args.simulate else None
    try:
        return 0 if print_report(api, truth, before, healthy=healthy) else 1
    except httpx.HTTPError as exc:
        print(f"govsense up: {plan.url} does not answer: {exc}", file=sys.stderr)
        return 1


def _short(api: Api) -> str:
    try:
        stats = read_stats(api)
    except httpx.HTTPError:
        return "the API does not answer"  # it is being started again
    return f"{stats['readings_stored']} readings stored, {stats['alerts_open']} alerts open"


def _is_drained(api: Api) -> bool:
    try:
        return not read_stats(api)["messages_pending"]
    except httpx.HTTPError:
        return False


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v1/ready", timeout=2, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _wait(
    condition: Callable[[], bool],
    supervisor: Supervisor,
    stopping: Callable[[], bool],
    within_s: float = READY_WITHIN_S,
) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and not stopping():
        supervisor.watch()
        if condition():
            return True
        time.sleep(0.1)
    return False


def _say(line: str) -> None:
    print(f"govsense: {line}", flush=True)


def _progress(line: str) -> None:
    if sys.stdout.isatty():
        print(f"\r\x1b[K{line}", end="", flush=True)
