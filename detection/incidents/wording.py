"""What incidents say to people: evidence as sentences in English and Lao."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from importlib.resources import files

from detection.incidents.causes import Reason
from detection.texts import Words, name_of


def say(reasons: Iterable[Reason]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The sentences in English and in Lao, in order."""
    sentences = [_sentence(reason) for reason in reasons]
    return tuple(s.en for s in sentences), tuple(s.lo for s in sentences)


def group_name(kind: str, name: str) -> Words:
    """What the sites of a group have in common, in words."""
    first, _, second = name.partition("|")
    template = SENTENCES[f"group.{kind}"]
    return Words(*(text.format(id=name, a=first, b=second) for text in template))


def _sentence(reason: Reason) -> Words:
    template = SENTENCES[reason.text]
    fields: list[dict[str, object]] = [dict(reason.facts), dict(reason.facts)]
    if "group" in reason.facts:
        words = group_name(str(reason.facts["group"]), str(reason.facts["id"]))
        fields[0]["group"], fields[1]["group"] = words
    if "metric" in reason.facts:
        fields[0]["name"], fields[1]["name"] = name_of(str(reason.facts["metric"]))
    return Words(*(text.format(**fields[n]) for n, text in enumerate(template)))


def _read() -> dict[str, Words]:
    text = (files("detection") / "data" / "incident_texts.csv").read_text("utf-8")
    return {row[0]: Words(row[1], row[2]) for row in list(csv.reader(text.splitlines()))[1:]}


SENTENCES: dict[str, Words] = _read()
