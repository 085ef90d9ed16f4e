"""The scorecard: makes labelled worlds, replays and evaluates them, and writes docs/scorecard.md.

    python -m bench.scorecard                  ten worlds of 100 sites, 14 days; a national one
    python -m bench.scorecard --quick --out -  two small ones, printed
    python -m bench.scorecard --seeds 1-3 --sites 30 --devices 120 --days 4 --out -

Seeds 1 to 99 are for tuning, 100 to 199 for reporting: figures that are published come from the
latter, at the thresholds as shipped. --keep DIR keeps the files of every world, and its score: a
run that was interrupted goes on there. Captures, half a gigabyte and more each, are always removed.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulators.scorecard.page import page
from simulators.scorecard.tallies import Score

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scorecard.md"
REPORTING = range(100, 200)
LEAST_LATENESS_MS = 120_000  # docs/protocol.md: three intervals, and two minutes at least
LEFT_OUT = b'/backfill"'  # the topic's end, in a line of a capture


@dataclass(frozen=True, slots=True)
class Size:
    """How large a world is."""

    sites: int
    devices: int
    days: float

    def __str__(self) -> str:
        return f"{self.sites} sites, {self.devices} devices, {self.days:g} days"


FULL, NATIONAL, QUICK = Size(100, 400, 14), Size(300, 1200, 3), Size(20, 80, 3)


@dataclass(frozen=True, slots=True)
class Job:
    """One world to make and judge. late: replay it a second time without its late messages."""

    seed: int
    size: Size
    late: bool


def main() -> int:
    """Judge every world, two at a time, and write the page. 1 where a world failed."""
    args = options(sys.argv[1:])
    jobs = jobs_of(args)
    scores = list(scores_of(jobs, args))
    if len(scores) < len(jobs):
        return 1
    total = Score()
    for score in scores:
        total.merge(score)
    text = heading(jobs, sys.argv[1:]) + page(total)
    if args.out == Path("-"):
        print(text, end="")
    else:
        args.out.write_text(text, "utf-8")
    return 0


def scores_of(jobs: Sequence[Job], args: argparse.Namespace) -> Iterator[Score]:
    """The scores of the worlds, as they come; of those that fail, the error on stderr."""
    began = time.monotonic()
    with ThreadPoolExecutor(args.processes) as pool:
        waiting = {pool.submit(judged, job, args.keep): job for job in jobs}
        for done, future in enumerate(as_completed(waiting), 1):
            try:
                yield future.result()
            except subprocess.CalledProcessError as exc:
                print(f"seed {waiting[future].seed}: {exc}\n{exc.stderr}", file=sys.stderr)
            minutes = (time.monotonic() - began) / 60
            left = minutes / done * (len(jobs) - done)
            print(
                f"{done} of {len(jobs)} worlds, {minutes:.0f} min, about {left:.0f} min left",
                file=sys.stderr,
            )


def options(arguments: Sequence[str]) -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worlds", type=int, default=10, help="how many (default: 10)")
    parser.add_argument(
        "--seeds", metavar="A-B", help="these instead of the first ones from 100 on"
    )
    parser.add_argument("--sites", type=int, default=FULL.sites)
    parser.add_argument("--devices", type=int, default=FULL.devices)
    parser.add_argument("--days", type=float, default=FULL.days)
    parser.add_argument("--quick", action="store_true", help=f"two worlds of {QUICK}")
    parser.add_argument("--late", type=int, default=2, metavar="N",
                        help="worlds replayed also without backfill (default: 2)")  # fmt: skip
    parser.add_argument("--processes", type=int, default=2, help="at most (default: 2)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep files and scores here")
    parser.add_argument(
        "--out", type=Path, default=PAGE, help="the page (default: docs), - to print"
    )
    return parser.parse_args(arguments)


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """The worlds that are asked for. The full set ends with a national one."""
    size = QUICK if args.quick else Size(args.sites, args.devices, args.days)
    count = 2 if args.quick else args.worlds
    seeds: Sequence[int] = REPORTING[:count]
    if args.seeds:
        first, _, last = args.seeds.partition("-")
        seeds = range(int(first), int(last or first) + 1)
    jobs = [Job(seed, size, n < args.late) for n, seed in enumerate(seeds)]
    if size == FULL and not args.seeds:
        jobs.append(Job(REPORTING[count], NATIONAL, late=False))
    return jobs


def heading(jobs: Sequence[Job], arguments: Sequence[str]) -> str:
    """What the page says of itself: the command, the worlds and their seeds."""
    places = [n for n, word in enumerate(arguments) if word in ("--keep", "--out")]
    left_out = {m for n in places for m in (n, n + 1)}
    said = [word for n, word in enumerate(arguments) if n not in left_out]
    sizes: dict[str, list[int]] = {}
    for job in jobs:
        sizes.setdefault(str(job.size), []).append(job.seed)
    worlds = "; ".join(
        f"{size} (seeds {', '.join(map(str, seeds))})" for size, seeds in sizes.items()
    )
    command = " ".join(["python -m bench.scorecard", *said])
    late = sum(job.late for job in jobs)
    return (
        "# Scorecard\n\n"
        f"Written by `{command}`; do not edit.\n\n"
        f"Worlds: {worlds}.\n"
        f"{late} of them were replayed a second time without their late messages, for the figures\n"
        "before backfill. Thresholds are those that are shipped.\n"
        "[How it is measured](detection.md#how-it-is-measured), and what each figure means.\n\n"
    )


def judged(job: Job, keep: Path | None) -> Score:
    """The score of one world. Raises CalledProcessError, with what the command said."""
    with _folder(job, keep) as folder:
        size, known = job.size, folder / "score.json"
        if known.exists():
            return Score.from_json(json.loads(known.read_text()))
        if not (folder / "capture.jsonl").exists():
            govsense(
                *("simulate", "--no-broker", "--world", "everything", "--seed", str(job.seed)),
                *("--sites", str(size.sites), "--devices", str(size.devices)),
                *("--days", f"{size.days:g}", "--out", str(folder)),
            )
        replay(folder, folder / "capture.jsonl", "")
        late = []
        if job.late:
            without = folder / "capture-without-backfill.jsonl"
            strip(folder / "capture.jsonl", without, lateness_of(folder))
            replay(folder, without, "-without-backfill")
            without.unlink()
            for name, suffix in (("alerts", "jsonl"), ("bins", "csv")):
                file = folder / f"{name}-without-backfill.{suffix}"
                late += [f"--{name}-without-backfill", str(file)]
        govsense(
            "evaluate",
            *registry(folder),
            *("--truth", str(folder / "truth.jsonl"), "--decoys", str(folder / "decoys.jsonl")),
            *("--alerts", str(folder / "alerts.jsonl"), "--bins", str(folder / "bins.csv")),
            *("--incidents", str(folder / "incidents.jsonl")),
            *("--capture", str(folder / "capture.jsonl"), *late),
            *("--json", str(known), "--page", str(folder / "score.md")),
        )
        (folder / "capture.jsonl").unlink()
        return Score.from_json(json.loads(known.read_text()))


@contextmanager
def _folder(job: Job, keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
        return
    folder = keep / f"seed-{job.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def registry(folder: Path) -> list[str]:
    """The options that name a world's registry."""
    return ["--sites", str(folder / "sites.csv"), "--devices", str(folder / "devices.csv")]


def replay(folder: Path, capture: Path, suffix: str) -> None:
    """Replay a capture into alerts, incidents and bins whose names end in suffix."""
    govsense(
        *("replay", str(capture), *registry(folder)),
        *("--alerts", str(folder / f"alerts{suffix}.jsonl")),
        *("--incidents", str(folder / f"incidents{suffix}.jsonl")),
        *("--bins", str(folder / f"bins{suffix}.csv")),
    )


def strip(capture: Path, to: Path, lateness_ms: dict[str, int]) -> None:
    """Copy a capture without what came late: over backfill, beyond the device's bound."""
    with capture.open("rb") as file, to.open("wb") as copy:
        for line in file:
            kept = _in_time(line, lateness_ms) if _is_backfill(line) else line
            if kept:
                copy.write(kept)


def _is_backfill(line: bytes) -> bool:
    return LEFT_OUT in line.partition(b'"payload')[0]


def _in_time(line: bytes, lateness_ms: dict[str, int]) -> bytes:
    """The message with those of its rounds that are not late; b"" where there is none."""
    message = json.loads(line)
    payload = json.loads(message["payload"])
    device = message["topic"].split("/")[-2]
    oldest_ms = message["at"] - lateness_ms.get(device, LEAST_LATENESS_MS)
    rounds = [one for one in payload.get("r", [payload]) if one["ts"] >= oldest_ms]
    if not rounds:
        return b""
    if "r" in payload:
        payload["r"] = rounds
    return json.dumps(message | {"payload": json.dumps(payload)}).encode() + b"\n"


def lateness_of(folder: Path) -> dict[str, int]:
    """How late each device's readings may be and still be live, in milliseconds."""
    with (folder / "devices.csv").open(encoding="utf-8", newline="") as file:
        return {
            row["device"]: max(LEAST_LATENESS_MS, round(float(row["interval_s"]) * 3000))
            for row in csv.DictReader(file)
        }


def govsense(*arguments: str) -> None:
    """Run a govsense command of this tree. Raises CalledProcessError with its errors."""
    subprocess.run(
        [sys.executable, "-m", "runtime", *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )


if __name__ == "__main__":
    sys.exit(main())
