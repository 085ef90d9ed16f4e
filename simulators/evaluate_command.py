"""`govsense evaluate`: truth against alerts, incidents and bins, as a scorecard."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from devices.registry import RegistryError
from runtime.settings import Settings
from simulators.scorecard.evaluation import Files, evaluate
from simulators.scorecard.files import EvaluationError
from simulators.scorecard.page import page

EPILOG = """example:
  govsense replay C.jsonl --sites sites.csv --devices devices.csv \\
      --alerts A.jsonl --incidents I.jsonl --bins B.csv
  govsense evaluate --truth T.jsonl --alerts A.jsonl --incidents I.jsonl --bins B.csv \\
      --sites sites.csv --devices devices.csv --capture C.jsonl

docs/detection.md says how alarms and faults are matched.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The files of one world."""
    for name, text in (
        ("truth", "the faults that were played"),
        ("alerts", "the alerts that a replay gave"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", required=True, help=text)
    for name in ("sites", "devices"):
        parser.add_argument(
            f"--{name}", type=Path, metavar="CSV", required=True, help=f"{name}.csv of the registry"
        )
    for name, text in (
        ("incidents", "the incidents that a replay gave"),
        ("bins", "the five-minute bins that a replay gave"),
        ("decoys", "what was played and must stay silent"),
        ("capture", "what arrived: adds reference detectors, and pages caused by backfill"),
        ("bins-without-backfill", "what govsense replay --bins-without-backfill gave"),
        ("json", "write every count here, for scores over several worlds"),
        ("page", "write the scorecard here instead of printing it"),
    ):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=text)
    parser.epilog = EPILOG


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the scorecard as Markdown, or write it. 0, or 2 where a file cannot be read."""
    files = Files(
        registry=(args.sites, args.devices),
        truth=args.truth,
        alerts=args.alerts,
        incidents=args.incidents,
        bins=args.bins,
        decoys=args.decoys,
        capture=args.capture,
        bins_without_backfill=args.bins_without_backfill,
    )
    try:
        score = evaluate(files)
    except (EvaluationError, RegistryError, OSError) as exc:
        print(f"govsense evaluate: {exc}", file=sys.stderr)
        return 2
    if args.page:
        args.page.write_text(page(score), "utf-8")
    else:
        print(page(score), end="")
    if args.json:
        args.json.write_text(json.dumps(score.as_json()), "utf-8")
    return 0
