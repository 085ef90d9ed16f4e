"""Replay: readings a second from a capture on disk to its alerts, incidents and bins.

    python -m bench.replay C.jsonl DIR             a capture and the directory of its registry
    python -m bench.replay C.jsonl DIR --profile   and where the time goes

`govsense simulate --no-broker --capture C.jsonl --sites DIR ...` makes one.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from pathlib import Path

from devices.registry_files import read_registry
from ingest.captures import read_capture
from ingest.replay import Replay


def main() -> None:
    """Replay once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("capture", type=Path)
    parser.add_argument("registry", type=Path)
    parser.add_argument("--profile", action="store_true")
    args = parser.parse_args()
    replay = Replay(read_registry([args.registry]))
    profile = cProfile.Profile()
    if args.profile:
        profile.enable()
    began, cpu = time.perf_counter(), time.process_time()
    for _ in replay.run(read_capture(args.capture)):
        pass
    profile.disable()
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    stored = replay.counts["readings_stored"]
    print(f"{replay.counts['messages']:,} messages, {stored:,} readings in {took:.1f} s")
    print(f"{stored / took:,.0f} readings/s; by processor time {stored / cpu:,.0f} readings/s")
    if args.profile:
        pstats.Stats(profile).sort_stats("cumulative").print_stats(45)


if __name__ == "__main__":
    main()
