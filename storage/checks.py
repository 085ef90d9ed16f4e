"""What `govsense doctor` finds: one check, its state, and what to do where it is not well."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warning", "wrong"]


class Check(NamedTuple):
    """One thing that was tried. why: what was seen, and how to mend it where it is not ok."""

    state: State
    what: str
    why: str
