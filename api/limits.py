"""How much a caller may ask for, by role from the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from api.callers import ROLES, Role


class Limits(NamedTuple):
    """Of one role. stored_rows: range times resolution, what one answer is made from."""

    requests_per_minute: int = 6000
    page_items: int = 10_000
    stored_rows: int = 200_000


def limits_by_role(**texts: str) -> dict[Role, Limits]:
    """Limits from settings such as `viewer=600, operator=600, admin=6000, auditor=600`.

    texts: by field of Limits. Raises ValueError that says what is wrong with which.
    """
    values = {name: _by_role(name, text) for name, text in texts.items()}
    return {role: Limits(**{name: of[role] for name, of in values.items()}) for role in ROLES}


def _by_role(name: str, text: str) -> Mapping[Role, int]:
    found: dict[str, int] = {}
    for part in text.split(","):
        role, _, number = (word.strip() for word in part.partition("="))
        if not (number.isascii() and number.isdigit() and int(number) > 0):
            raise ValueError(f"limits.{name}: {part.strip()!r} is not like viewer=600")
        found[role] = int(number)
    if found.keys() != set(ROLES):
        raise ValueError(f"limits.{name} is {text!r}; it must name each of {', '.join(ROLES)}")
    return {role: found[role] for role in ROLES}
