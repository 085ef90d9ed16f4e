"""Writes docs/guarantees.md from the figures of one run: `./test --guarantees` calls this."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

from tests.faults.guarantees import PROMISES, Figure, read_figures

HEAD = """# Guarantees

What govsense promises when things fail, and what was measured. This page is written by one command:

```sh
./test --guarantees
```

Run of {date} on {machine}. Each row names the test that measured it; what must hold on any machine
(nothing lost, nothing twice, every scrape exact) is asserted by that test, and by a shorter form of
it in every `./test`. Times and memory are those of this run.

| Promise | To reach | Measured | Reached | Test |
| --- | --- | --- | --- | --- |
"""


def page(figures: list[Figure], *, date: str, machine: str) -> str:
    """The whole page; a promise that was not measured says so."""
    rows = []
    for name, promise in PROMISES.items():
        of_promise = [figure for figure in figures if figure.promise == name]
        for figure in of_promise or [Figure(name, "", "not measured in this run", False, "")]:
            of = f" ({figure.of})" if figure.of else ""
            reached = "yes" if figure.met else "**no**"
            test = f"`{figure.test}`" if figure.test else ""
            rows.append(
                f"| {promise.text}{of} | {promise.target} | {figure.figure} | {reached} | {test} |"
            )
    return HEAD.format(date=date, machine=machine) + "\n".join(rows) + "\n"


def main() -> int:
    """Write the page to the path given; 1 where a promise was missed or not measured."""
    source, target = map(Path, sys.argv[1:])
    figures = read_figures(source) if source.exists() else []
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.release()}"
    machine += f", Python {platform.python_version()}"
    target.write_text(page(figures, date=f"{datetime.now(UTC):%-d %B %Y}", machine=machine))
    missed = [figure.promise for figure in figures if not figure.met]
    missed += sorted(PROMISES.keys() - {figure.promise for figure in figures})
    print(f"{target} is written; missed or not measured: {', '.join(missed) or 'nothing'}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
