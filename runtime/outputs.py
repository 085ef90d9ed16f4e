"""Files that a command writes: none is another file of its call, and their folders are there."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path

Named = tuple[str, Path]  # an option, and the file that it names


def files_of(args: argparse.Namespace, options: Mapping[str, str]) -> list[Named]:
    """The files that a call names. options: what its arguments are called by who types them."""
    given = ((option, getattr(args, name)) for name, option in options.items())
    return [(option, Path(file)) for option, file in given if file]


def output_problems(inputs: Sequence[Named], outputs: Sequence[Named]) -> Iterator[str]:
    """What is wrong with each output of a call, in words; nothing where all may be written.

    An output that is an input or another output would be lost, one without a folder fails late.
    """
    for (option, file), (output, other) in [*product(inputs, outputs), *combinations(outputs, 2)]:
        if _is_same(file, other):
            yield f"{output} {other}: the same file as {option} {file}; allowed: a file of its own"
    for output, file in outputs:
        if not file.parent.is_dir():
            yield f"{output} {file}: no folder {file.parent}; make it first"


def _is_same(file: Path, other: Path) -> bool:
    """Whether two names lead to one file, be it there or not; nothing is lost in a device."""
    if file.exists() and other.exists():
        return file.is_file() and file.samefile(other)
    return os.path.realpath(file) == os.path.realpath(other)
