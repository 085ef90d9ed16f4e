"""The words of a printed report, in Lao and English, from a table."""

from __future__ import annotations

import csv
from functools import cache
from importlib.resources import files
from typing import Literal

Language = Literal["lo", "en"]


@cache
def texts(language: Language) -> dict[str, str]:
    """Text by its name."""
    table = (files("reports") / "data" / "texts.csv").read_text("utf-8")
    return {row["text"]: row[language] for row in csv.DictReader(table.splitlines())}
