"""Where two texts of a report differ: members of JSON, lines of the other forms."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from reports.issuing import loaded

SHOWN = 20  # differences that are named
BEFORE, BEHIND = 30, 50  # characters that are shown of a line about a difference


def in_json(got: str, expected: str) -> list[str]:
    """The members in which a report differs from what the data gives, with both values."""
    found = list(_in_trees("", loaded(got), loaded(expected)))
    said = "the text is not in its canonical form: it was written anew by another program"
    return (found or [said])[:SHOWN]


def in_lines(got: str, expected: str) -> list[str]:
    """The lines, with a little of both around the first character that differs."""
    lines = zip_longest(got.split("\n"), expected.split("\n"))
    return [
        f"line {n}, {_around(ours, theirs)}"
        for n, (ours, theirs) in enumerate(lines, 1)
        if ours != theirs
    ][:SHOWN]


def _around(got: str | None, expected: str | None) -> str:
    """Both from a little before the first character in which they differ."""
    if got is None or expected is None:
        return f"it says {_shown(got)}; the stored data gives {_shown(expected)}"
    pairs = enumerate(zip(got, expected, strict=False))
    at = next((n for n, (ours, theirs) in pairs if ours != theirs), min(len(got), len(expected)))
    begin, end = max(0, at - BEFORE), at + BEHIND
    shown = got[begin:end], expected[begin:end]
    return f"character {at + 1}: it says {shown[0]!r}; the stored data gives {shown[1]!r}"


def _in_trees(place: str, got: Any, expected: Any) -> Iterator[str]:
    if isinstance(got, dict) and isinstance(expected, dict):
        for name in sorted({*got, *expected}):
            yield from _in_trees(f"{place}.{name}".lstrip("."), got.get(name), expected.get(name))
    elif isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        for n, (ours, theirs) in enumerate(zip(got, expected, strict=True)):
            name = ours.get("id", n) if isinstance(ours, dict) else n
            yield from _in_trees(f"{place}[{name}]", ours, theirs)
    elif got != expected or type(got) is not type(expected):
        yield f"{place}: it says {_shown(got)}; the stored data gives {_shown(expected)}"


def _shown(value: Any) -> str:
    return repr(value)[:200]
