"""What a printed or tabular report says of itself, so that it can be made again and compared."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from reports.canonical import canonical

NAMES = (
    *("kind", "schema", "scope", "period", "calendar", "rules", "data_until"),
    *("status", "revision", "as_of", "digest"),
)


def statement_of(report: dict[str, Any], form: str) -> str:
    """One line of JSON: what it is about, by which rules, how it stands, its digest and form."""
    return canonical({**{name: report[name] for name in NAMES}, "form": form})


@cache
def form_of(*sources: str) -> str:
    """What tells one version of a page or table from another: 16 digits over the files it is of."""
    sha = hashlib.sha256()
    for name in ("statement.py", *sources):
        sha.update(files("reports").joinpath(name).read_bytes())
    return sha.hexdigest()[:16]
