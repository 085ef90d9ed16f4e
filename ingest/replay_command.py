"""`govsense replay`: a capture through decoding, validation and detection in virtual time."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from devices.registry import RegistryError
from devices.registry_files import read_registry
from ingest.captures import EARLIEST_MS, LATEST_MS, CaptureError, read_capture
from ingest.judge import TICK_MS
from ingest.replay import Replay
from ingest.replay_files import write_alerts, write_bins, write_incidents
from runtime.arguments import whole_number
from runtime.outputs import files_of, output_problems
from runtime.settings import Settings

TELL_EVERY_S = 5.0
TIMES = f"milliseconds since 1970 UTC, {EARLIEST_MS} to {LATEST_MS}"
INPUTS = {"capture": "CAPTURE", "sites": "--sites", "devices": "--devices"}
OUTPUTS = {
    name: "--" + name.replace("_", "-")
    for name in ("alerts", "incidents", "bins", "bins_without_backfill")
}

EPILOG = """examples:
  govsense capture --out C.jsonl --seconds 3600
  govsense replay C.jsonl --sites sites.csv --devices devices.csv --alerts A.jsonl
  govsense replay C.jsonl --sites sites.csv --devices devices.csv \\
      --alerts A.jsonl --incidents I.jsonl --bins B.csv --until 1790000000000

No broker and no database is needed, and nothing is stored but the files that are named. The last
line of the output is a JSON object with what became of the messages. The same capture gives the
same files, always.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is replayed, against which registry, and what is written."""
    parser.add_argument("capture", type=Path, metavar="CAPTURE", help="JSON lines of messages")
    parser.add_argument("--sites", type=Path, required=True, metavar="FILE", help="sites.csv")
    parser.add_argument("--devices", type=Path, required=True, metavar="FILE", help="devices.csv")
    parser.add_argument("--alerts", type=Path, metavar="FILE", help="write alerts, JSON lines")
    parser.add_argument("--incidents", type=Path, metavar="FILE", help="write incidents")
    parser.add_argument("--bins", type=Path, metavar="FILE", help="write availability bins, CSV")
    parser.add_argument(
        "--bins-without-backfill",
        type=Path,
        metavar="FILE",
        help="write bins as they would be if nothing late had come, CSV",
    )
    parser.add_argument(
        "--until",
        type=whole_number(EARLIEST_MS, LATEST_MS, TIMES),
        metavar="MS",
        help="let time pass until then after the last message",
    )
    parser.epilog = EPILOG


def run(args: argparse.Namespace, settings: Settings) -> int:
    """0 when done; 2 where an output would overwrite another file of the call, or lies in no
    folder; 1 where a file cannot be read or written. Nothing is written before all is read.
    """
    try:
        if wrong := [*output_problems(files_of(args, INPUTS), files_of(args, OUTPUTS))]:
            print("\n".join(f"govsense replay: {one}" for one in wrong), file=sys.stderr)
            return 2
        registry = read_registry([args.sites, args.devices])
        replay = Replay(registry, without_late=args.bins_without_backfill is not None)
        _play(replay, args.capture, args.until)
        if args.alerts:
            write_alerts(args.alerts, replay.alerts, replay.incident_of)
        if args.incidents:
            write_incidents(args.incidents, replay.incidents)
        if args.bins:
            write_bins(args.bins, replay.bins)
        if args.bins_without_backfill:
            write_bins(args.bins_without_backfill, replay.bins_in_time)
    except (CaptureError, RegistryError, OSError) as exc:
        print(f"govsense replay: {exc}", file=sys.stderr)
        return 1
    print(json.dumps(replay.summary()))
    return 0


def _play(replay: Replay, capture: Path, until_ms: int | None) -> None:
    told, now_ms = time.monotonic(), 0
    for now_ms in replay.run(read_capture(capture)):
        if time.monotonic() - told >= TELL_EVERY_S:
            told = time.monotonic()
            at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
            print(f"{at} UTC: {replay.counts['messages']:,} messages", file=sys.stderr)
    if until_ms is None:
        return
    if until_ms <= now_ms - TICK_MS:
        print(
            f"govsense replay: --until {until_ms} is before the last message, which came in the"
            f" {TICK_MS // 1000} s before {now_ms}: all messages count, no time passes after them",
            file=sys.stderr,
        )
    replay.pass_time(until_ms)
