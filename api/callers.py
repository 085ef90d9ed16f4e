"""Who calls: set for every request by api/rights.py, asked for by routes as `CallerNow`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from fastapi import Depends, Request

from storage.ledger.keys import Key
from storage.ledger.sight import Sight

Role = Literal["viewer", "operator", "admin", "auditor"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may.

    id: of a key, or the subject of a token; "" for nobody. name: for people, shown as the author of
    what is written. provinces (ISO codes), agencies: which they may see; None: all.
    """

    id: str
    name: str
    role: Role
    provinces: frozenset[str] | None
    agencies: frozenset[str] | None

    @property
    def sight(self) -> Sight:
        """What of the ledger they see."""
        return Sight(self.provinces, self.agencies)

    def sees(self, province: str, agency: str) -> bool:
        """Whether a site of that province and agency is theirs to see."""
        return self.sight.sees(province, agency)


NOBODY = Caller("", "nobody", "viewer", frozenset(), frozenset())  # on public paths


def caller_with(key: Key) -> Caller:
    """Who uses a key."""
    limits = [
        None if names is None else frozenset(names) for names in (key.provinces, key.agencies)
    ]
    return Caller(key.id, key.name, key.role, *limits)  # type: ignore[arg-type]  # of keys.ROLES


async def caller_of(request: Request) -> Caller:
    """Who calls; nobody on a public path."""
    caller: Caller = request.state.caller
    return caller


CallerNow = Annotated[Caller, Depends(caller_of)]
