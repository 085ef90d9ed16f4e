"""The scorecard: makes labelled worlds, replays and evaluates them, and writes docs/scorecard.md.

    python -m bench.scorecard                  ten worlds of 100 sites, 14 days; a national one
    python -m bench.scorecard --quick --out -  two small ones, printed
    python -m bench.scorecard --seeds 1-3 --sites 30 --devices 120 --days 4 --out -

Seeds 1 to 99 are for tuning, 100 to 199 for reporting: figures that are published come from the
latter, at the thresholds as shipped. --keep DIR keeps the files of every world, and its score: a
run that was interrupted goes on there. Captures, 1.5 GB for a full world, are removed when it is
judged (--keep-captures: stay). Two worlds at a time need 3 GB on the disk and 1.5 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulators.scorecard.page import page
from simulators.scorecard.tallies import Score

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scorecard.md"
REPORTING = range(100, 200)
NATIONAL_SEED = 150
CAPTURE = "capture.jsonl"


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
    """One world to make and judge. late: judge its bins before backfill too."""

    seed: int
    size: Size
    late: bool


def main() -> int:
    """Judge every world, two at a time, and write the page. 1 where a world is missing on it."""
    args = options(sys.argv[1:])
    jobs = jobs_of(args)
    scores = dict(scores_of(jobs, args))
    if not scores:
        return 1
    total = Score()
    for job in jobs:
        if job in scores:
            total.merge(scores[job])
    text = heading(jobs, sys.argv[1:], set(scores)) + page(total)
    if args.out == Path("-"):
        print(text, end="")
    else:
        args.out.write_text(text, "utf-8")
    return int(len(scores) < len(jobs))


def scores_of(jobs: Sequence[Job], args: argparse.Namespace) -> Iterator[tuple[Job, Score]]:
    """The scores of the worlds, as they come; of those that fail, the error on stderr."""
    began = time.monotonic()
    last = began + args.within * 60

    def begin(job: Job) -> Score:
        if time.monotonic() > last:
            raise TimeoutError(f"not begun: {args.within:g} minutes were over")
        return judged(job, args.keep, keep_capture=args.keep_captures)

    with ThreadPoolExecutor(args.processes) as pool:
        waiting = {pool.submit(begin, job): job for job in jobs}
        for done, future in enumerate(as_completed(waiting), 1):
            job = waiting[future]
            try:
                yield job, future.result()
            except subprocess.CalledProcessError as exc:
                tell(f"seed {job.seed}: FAILED: {exc}\n{exc.stderr}")
            except (OSError, ValueError) as exc:  # files that cannot be written or read
                tell(f"seed {job.seed}: FAILED: {exc}")
            minutes = (time.monotonic() - began) / 60
            left = minutes / done * (len(jobs) - done)
            tell(f"{done} of {len(jobs)} worlds, {minutes:.0f} min, about {left:.0f} min left")


def tell(text: str) -> None:
    """Say how far it is, on stderr."""
    print(text, file=sys.stderr, flush=True)


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
    parser.add_argument(
        "--late",
        type=int,
        default=2,
        metavar="N",
        help="worlds whose bins are judged before backfill too (default: 2)",
    )
    parser.add_argument(
        "--within",
        type=float,
        default=math.inf,
        metavar="MIN",
        help="begin no world after so many minutes; the page says which are missing",
    )
    parser.add_argument("--keep-captures", action="store_true", help="do not remove captures")
    parser.add_argument("--processes", type=int, default=2, help="at most (default: 2)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep files and scores here")
    parser.add_argument(
        "--out", type=Path, default=PAGE, help="the page (default: docs), - to print"
    )
    return parser.parse_args(arguments)


def jobs_of(args: argparse.Namespace) -> list[Job]:
    """The worlds that are asked for. The full set begins with a national one."""
    size = QUICK if args.quick else Size(args.sites, args.devices, args.days)
    count = 2 if args.quick else args.worlds
    seeds: Sequence[int] = REPORTING[:count]
    if args.seeds:
        first, _, last = args.seeds.partition("-")
        seeds = range(int(first), int(last or first) + 1)
    jobs = [Job(seed, size, n < args.late) for n, seed in enumerate(seeds)]
    if size == FULL and not args.seeds:
        jobs.insert(0, Job(NATIONAL_SEED, NATIONAL, late=False))
    return jobs


def heading(jobs: Sequence[Job], arguments: Sequence[str], done: Set[Job] | None = None) -> str:
    """What the page says of itself: the command, the worlds and their seeds, and what is missing.

    done: the jobs that were judged; None for all.
    """
    missing = [str(job.seed) for job in jobs if done is not None and job not in done]
    jobs = [job for job in jobs if str(job.seed) not in missing]
    places = [n for n, word in enumerate(arguments) if word in ("--keep", "--out", "--within")]
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
        + f"Not judged, and not in the figures: seeds {', '.join(missing)}.\n"
        * bool(missing)
        + f"Bins before backfill are those of {late} of them. Thresholds are as shipped.\n"
        "[How it is measured](detection.md#how-it-is-measured), and what each figure means.\n\n"
    )


def judged(job: Job, keep: Path | None, *, keep_capture: bool = False) -> Score:
    """The score of one world. Raises CalledProcessError, with what the command said."""
    with folder_of(job.seed, keep) as folder:
        known = folder / "score.json"
        if not known.exists():
            took = [write(job, folder), replay(job, folder), evaluate(job, folder)]
            if not keep_capture:
                (folder / CAPTURE).unlink()
            said = ", ".join(f"{s:.0f} s" for s in took)
            tell(f"seed {job.seed}: written, replayed, evaluated in {said}")
        return Score.from_json(json.loads(known.read_text()))


def write(job: Job, folder: Path) -> float:
    """Write a world, unless it has been; the seconds that it took."""
    whole = folder / "written"  # a capture may be there in part
    if whole.exists():
        return 0.0
    size = job.size
    seconds = govsense(
        *("simulate", "--no-broker", "--world", "everything", "--seed", str(job.seed)),
        *("--sites", str(size.sites), "--devices", str(size.devices)),
        *("--days", f"{size.days:g}", "--out", str(folder)),
    )
    whole.touch()
    return seconds


def evaluate(job: Job, folder: Path) -> float:
    """Evaluate a world that was replayed, into its score.json; the seconds that it took."""
    part = folder / "score.json.part"
    seconds = govsense(
        *("evaluate", *registry(folder)),
        *("--truth", str(folder / "truth.jsonl"), "--decoys", str(folder / "decoys.jsonl")),
        *("--alerts", str(folder / "alerts.jsonl"), "--bins", str(folder / "bins.csv")),
        *("--incidents", str(folder / "incidents.jsonl")),
        *("--capture", str(folder / CAPTURE), *before(job, folder)),
        *("--json", str(part), "--page", str(folder / "score.md")),
    )
    part.rename(folder / "score.json")
    return seconds


def before(job: Job, folder: Path) -> list[str]:
    """The option of replay and evaluate that names the bins before backfill, where asked for."""
    if not job.late:
        return []
    return ["--bins-without-backfill", str(folder / "bins-without-backfill.csv")]


@contextmanager
def folder_of(seed: int, keep: Path | None) -> Iterator[Path]:
    """Where the files of a world are: below `keep`, or for as long as it is used."""
    if keep is None:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
        return
    folder = keep / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def registry(folder: Path) -> list[str]:
    """The options that name a world's registry."""
    return ["--sites", str(folder / "sites.csv"), "--devices", str(folder / "devices.csv")]


def replay(job: Job, folder: Path) -> float:
    """Replay a world into alerts, incidents and bins; the seconds that it took."""
    return govsense(
        *("replay", str(folder / CAPTURE), *registry(folder), *before(job, folder)),
        *("--alerts", str(folder / "alerts.jsonl"), "--bins", str(folder / "bins.csv")),
        *("--incidents", str(folder / "incidents.jsonl")),
    )


def govsense(*arguments: str) -> float:
    """Run a govsense command of this tree. Raises CalledProcessError with its errors."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "runtime", *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return time.monotonic() - began


if __name__ == "__main__":
    sys.exit(main())
