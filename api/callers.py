"""Who calls: the author of what is written, and what of the country they may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request

Role = Literal["viewer", "operator", "admin", "auditor"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls. id "": nobody. name: for people, shown as author.

    provinces, as ISO 3166-2 codes, and agencies: that they may see; None: all.
    """

    id: str
    name: str
    role: Role
    provinces: frozenset[str] | None
    agencies: frozenset[str] | None

    def sees(self, province: str, agency: str) -> bool:
        """Whether a site of that province and agency is theirs to see."""
        if self.provinces is not None and province not in self.provinces:
            return False
        return self.agencies is None or agency in self.agencies


LOCAL = Caller("local", "local", "admin", None, None)


async def caller_of(request: Request) -> Caller:
    """Who sent a request."""
    caller: Caller = getattr(request.state, "caller", LOCAL)
    return caller


CallerNow = Annotated[Caller, Depends(caller_of)]
