"""What the public status says in words, in English and Lao."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import NamedTuple

VIENTIANE = timedelta(hours=7)


class Words(NamedTuple):
    """The same in both languages."""

    en: str
    lo: str

    def fill(self, **values: Words | str | int) -> Words:
        """The text with its {names} filled in, each in its language."""
        return Words(
            *(
                text.format(**{k: v[n] if isinstance(v, Words) else v for k, v in values.items()})
                for n, text in enumerate(self)
            )
        )


def class_name(site_class: str) -> Words:
    """The name of a class of facilities; of one that the table does not have, the word itself."""
    word = site_class.replace("-", " ")
    return TEXTS.get(f"class.{site_class}", Words(word, word))


def joined(names: Sequence[Words]) -> Words:
    """A list of names, such as "A, B and C"."""
    *first, last = names
    if not first:
        return last
    return Words(
        f"{', '.join(name.en for name in first)} and {last.en}",
        f"{', '.join(name.lo for name in first)} ແລະ {last.lo}",
    )


def local_time(at_ms: int) -> str:
    """Day and minute in Vientiane, such as 2026-10-05 08:26."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC) + VIENTIANE
    return at.strftime("%Y-%m-%d %H:%M")


def _read() -> dict[str, Words]:
    text = (files("api") / "public" / "texts.csv").read_text("utf-8")
    return {row[0]: Words(row[1], row[2]) for row in list(csv.reader(text.splitlines()))[1:]}


TEXTS: dict[str, Words] = _read()
