"""`govsense simulate`: a country of devices, or a recorded series, published to a broker."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from devices.kinds import KINDS
from devices.probe.client import Broker
from devices.registry import RegistryError
from runtime.clock import Clock, clock_from
from runtime.outputs import files_of, output_problems
from runtime.settings import Settings
from runtime.stopping import stop_requested
from simulators.capture import CaptureWriter, write_steps
from simulators.everything import FILES, TABLES
from simulators.feed import Step
from simulators.fleet import KEEP, Access, Fleet, Timebase
from simulators.identity import Identity
from simulators.options import CallError, registry_of, time_of, world_of
from simulators.progress import Progress
from simulators.recording import (
    DEFAULT_TIMEZONE,
    Layout,
    RecordingError,
    read_recording,
    recording_steps,
)
from simulators.run import prepare
from simulators.scenario import Scenario, ScenarioError, built_in, parse_duration_ms, read_scenario
from simulators.world_files import write_world

INPUTS = {"scenario": "--scenario", "replay": "--replay"}
OUTPUTS = {"truth": "--truth", "capture": "--capture"}

EPILOG = f"""examples:
  govsense simulate                                   the national sample, now, until Ctrl-C
  govsense simulate --scenario first-minute --truth T.jsonl --interval-s 5 --duration 60s
  govsense simulate --sites DIR --seed 7 --speed 60   an hour of readings a minute
  govsense simulate --no-broker --capture C.jsonl --start 2026-03-02T00:00:00Z --duration 7d
  govsense simulate --no-broker --world everything --seed 7 --sites 100 --devices 400 \\
      --days 14 --out DIR                             labelled files for detection
  govsense simulate --replay level.csv --device tank-0007 --metric level_m --shift-to-now
  govsense simulate --replay log.csv --device d1 --metric temperature_c \\
      --separator ';' --decimal-comma --date-format '%d/%m/%Y %H:%M'

scenarios that come with govsense: {", ".join(built_in())}
--speed makes this command's clock run fast. For a whole platform on a fast clock set clock.start
and clock.speed in the settings, which all processes share.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which devices, which faults, how fast, how long, and what to write."""
    parser.add_argument(
        "--sites",
        type=Path,
        action="append",
        metavar="PATH",
        help="registry: a directory with sites.csv and devices.csv, or files, several times "
        "(default: the national sample); with --world also a number of sites to make up (100)",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="play N of the devices only")
    parser.add_argument("--seed", type=int, default=1, help="of everything random (default: 1)")
    parser.add_argument("--scenario", metavar="NAME|FILE", help="faults to play")
    parser.add_argument("--truth", type=Path, metavar="FILE", help="write the faults played")
    parser.add_argument("--capture", type=Path, metavar="FILE", help="write what is published")
    parser.add_argument("--start", metavar="TIME", help="event time of the start, RFC 3339")
    parser.add_argument("--duration", metavar="TIME", help="like 90s, 10m, 24h, 7d")
    parser.add_argument("--speed", type=float, metavar="X", help="seconds played per second")
    parser.add_argument(
        "--interval-s", type=float, metavar="S", help="reporting interval of all devices"
    )
    world = parser.add_argument_group("a labelled world, written at once (--no-broker)")
    world.add_argument(
        "--world",
        choices=["everything", "scenario"],
        help="every kind of fault and decoy, or only the faults of --scenario",
    )
    world.add_argument("--devices", type=int, metavar="N", help="devices to make up (400)")
    world.add_argument("--days", type=float, metavar="D", help="length of the world (14)")
    world.add_argument("--out", type=Path, metavar="DIR", help="where its files are written")
    wire = parser.add_argument_group("broker (address and login are in the settings, mqtt.*)")
    wire.add_argument("--no-broker", action="store_true", help="only write --capture, at once")
    wire.add_argument(
        "--connections", type=int, metavar="N", help="share N connections, for load; no Wills"
    )
    wire.add_argument(
        "--credentials", type=Path, metavar="CSV", help="device,password: each logs in as itself"
    )
    replay = parser.add_argument_group("a recorded series instead of a simulated fleet")
    replay.add_argument("--replay", type=Path, metavar="CSV", help="times and values")
    replay.add_argument("--device", metavar="ID", help="device that publishes it")
    replay.add_argument("--metric", metavar="NAME", help="metric that it is")
    replay.add_argument("--shift-to-now", action="store_true", help="let it begin now")
    replay.add_argument("--separator", default="", help="default: found out")
    replay.add_argument("--date-format", default="", metavar="F", help="like '%%d/%%m/%%Y %%H:%%M'")
    replay.add_argument("--decimal-comma", action="store_true", help="1.234,5 is 1234.5")
    replay.add_argument("--time-column", default="1", metavar="C", help="name or number (1)")
    replay.add_argument("--value-column", default="2", metavar="C", help="name or number (2)")
    replay.add_argument(
        "--timezone",
        default=DEFAULT_TIMEZONE,
        metavar="Z",
        help=f"of times that do not say: offset or name ({DEFAULT_TIMEZONE})",
    )
    parser.epilog = EPILOG


@dataclass(frozen=True)
class Play:
    """What is to be published, by whom."""

    identities: Mapping[str, Identity]
    steps: Iterator[Step]
    start_ms: int
    faults: int
    rounds: int = 0  # that a recording holds


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Play to the end or until told to stop. 0 when the broker has everything, 1 when not."""
    stopping = stop_requested()
    try:
        _check(args)
        _check_outputs(args)
        if args.world:
            return write_world(world_of(args), args.out)
        clock = _clock(args, settings)
        play = _recorded(args, clock) if args.replay else _simulated(args, clock)
        if args.no_broker:
            return _write_only(args, play)
        return _publish(args, settings, clock, play, stopping)
    except (CallError, ScenarioError, RecordingError, RegistryError, OSError) as exc:
        print(f"govsense simulate: {exc}", file=sys.stderr)
        return 2


def _check(args: argparse.Namespace) -> None:
    if args.world:
        if not (args.no_broker and args.out):
            raise CallError("--world needs --no-broker and --out DIR: it is written, not played")
        if (args.world == "scenario") != bool(args.scenario):
            raise CallError("--scenario goes with --world scenario, and --world scenario with it")
    elif args.out or args.devices or args.days:
        raise CallError("--out, --devices and --days go with --world")
    elif args.no_broker and not args.capture:
        raise CallError("--no-broker needs --capture FILE: there is nowhere else to write to")
    elif args.no_broker and not args.duration and not args.replay:
        raise CallError("--no-broker needs --duration, or it would never end")
    if args.replay and not (args.device and args.metric):
        raise CallError("--replay needs --device and --metric: whose series is it?")
    for name in ("limit", "speed", "interval_s", "connections", "devices", "days"):
        value = getattr(args, name)
        if value is not None and not value > 0:
            raise CallError(f"--{name.replace('_', '-')} is {value:g}; it must be above 0")


def _check_outputs(args: argparse.Namespace) -> None:
    """CallError where what is written would overwrite what is read, or has no folder."""
    outputs = files_of(args, OUTPUTS)
    if args.out and args.out.is_dir():
        outputs += [("--out", args.out / name) for name in FILES]
    inputs = files_of(args, INPUTS)
    for path in args.sites or ():
        tables = [path / name for name in TABLES] if path.is_dir() else [path]
        inputs += [("--sites", table) for table in tables]
    if problems := "; ".join(output_problems(inputs, outputs)):
        raise CallError(problems)


def _clock(args: argparse.Namespace, settings: Settings) -> Clock:
    """The platform's clock, or one of this command's own where --start or --speed ask for it."""
    clock = clock_from(settings.clock)
    if args.speed is None and args.start is None:
        return clock
    start_ms = clock.now_ms() if args.start is None else time_of(args.start)
    origin_ms = time.time_ns() // 1_000_000
    return Clock(start_ms=start_ms, speed=args.speed or clock.speed, origin_ms=origin_ms)


def _simulated(args: argparse.Namespace, clock: Clock) -> Play:
    registry = registry_of(args)
    scenario = read_scenario(args.scenario) if args.scenario else Scenario("none")
    start_ms = _start_ms(args, clock)
    end_ms = None
    if args.duration:
        end_ms = start_ms + parse_duration_ms(args.duration, "--duration")
    run_of_all = prepare(registry, scenario, seed=args.seed, start_ms=start_ms, end_ms=end_ms)
    if args.truth:
        run_of_all.write_truth(args.truth)
    faults = run_of_all.fault_count
    return Play(run_of_all.identities, run_of_all.steps(), start_ms, faults)


def _start_ms(args: argparse.Namespace, clock: Clock) -> int:
    """Event time of the run's start: --start, else that of a fast clock, else now.

    The start of a fast clock is the same for every process and in every run.
    """
    if args.start is not None or clock.speed != 1:
        return clock.start_ms
    return clock.now_ms()


def _recorded(args: argparse.Namespace, clock: Clock) -> Play:
    registry = registry_of(args)
    device = registry.devices.get(args.device)
    if device is None:
        raise CallError(f"--device {args.device!r} is not in the registry (--sites)")
    metric = KINDS[device.kind].metrics.get(args.metric)
    if metric is None:
        known = ", ".join(KINDS[device.kind].metrics)
        raise CallError(f"--metric {args.metric!r} is none of kind {device.kind}: {known}")
    layout = Layout(
        separator=args.separator.replace("\\t", "\t"),
        date_format=args.date_format,
        decimal_comma=args.decimal_comma,
        time_column=args.time_column,
        value_column=args.value_column,
        timezone=args.timezone,
    )
    recording = read_recording(args.replay, layout)
    now_ms = clock.now_ms()
    if args.shift_to_now:
        recording = recording.shifted_to(now_ms)
    identity = Identity.of(device, registry.sites[device.site], seed=args.seed, start_ms=now_ms)
    steps = recording_steps(recording, identity, metric, now_ms=now_ms)
    return Play({device.device: identity}, steps, now_ms, 0, len(recording.points))


def _write_only(args: argparse.Namespace, play: Play) -> int:
    began = time.monotonic()
    with args.capture.open("w", encoding="utf-8") as file:
        writer = CaptureWriter(file)
        write_steps(play.steps, play.identities, writer)
    seconds = round(time.monotonic() - began, 3)
    _print_summary(play, {"messages": writer.count, "seconds": seconds})
    return 0


def _publish(
    args: argparse.Namespace,
    settings: Settings,
    clock: Clock,
    play: Play,
    stopping: Callable[[], bool],
) -> int:
    mqtt = settings.mqtt
    if not mqtt.port:
        raise CallError("mqtt.port is 0; it must be the port of a broker that runs")
    began = time.monotonic()
    progress = Progress(f"{mqtt.host}:{mqtt.port}", clock.now_ms)
    with ExitStack() as files:
        capture = None
        if args.capture:
            capture = CaptureWriter(files.enter_context(args.capture.open("w", encoding="utf-8")))
        fleet = Fleet(
            Broker(mqtt.host, mqtt.port, mqtt.tls_ca),
            play.identities,
            _access(args, settings),
            timebase=Timebase(clock.now_ms, clock.speed),
            keep=max(KEEP, play.rounds),
            capture=capture,
            each_second=progress.show,
        )
        fleet.play(play.steps, stopping)
    progress.end()
    tally = fleet.tally
    _print_summary(
        play,
        {
            "acknowledged": tally.acknowledged,
            "pending": fleet.pending,
            "dropped": tally.dropped,
            "receipted": tally.receipted,
            "unreceipted": fleet.unreceipted,
            "connects": tally.connects,
            "connections_lost": tally.lost,
            "seconds": round(time.monotonic() - began, 3),
        },
    )
    return 0 if tally.acknowledged and not (fleet.pending or tally.dropped) else 1


def _access(args: argparse.Namespace, settings: Settings) -> Access:
    password = ""
    if settings.mqtt.password_file:
        password = Path(settings.mqtt.password_file).read_text("utf-8").split("\n", 1)[0].strip()
    passwords: dict[str, str] = {}
    if args.credentials:
        with args.credentials.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            if not {"device", "password"} <= set(rows.fieldnames or ()):
                raise CallError(f"{args.credentials}: needs the columns device and password")
            passwords = {row["device"]: row["password"] for row in rows}
    return Access(passwords, settings.mqtt.username, password, args.connections)


def _print_summary(play: Play, facts: dict[str, Any]) -> None:
    start = datetime.fromtimestamp(play.start_ms / 1000, UTC).isoformat()
    print(json.dumps({"devices": len(play.identities), "faults": play.faults, "start": start}
                     | facts))  # fmt: skip
