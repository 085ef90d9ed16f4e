"""Who calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request


@dataclass(frozen=True, slots=True)
class Caller:
    """id: of a key or the subject of a token, "" for nobody. name: shown as author.

    provinces, agencies: which it may see; None is all.
    """

    id: str
    name: str
    role: Literal["viewer", "operator", "admin", "auditor"]
    provinces: frozenset[str] | None
    agencies: frozenset[str] | None

    def sees(self, province: str, agency: str) -> bool:
        """Whether what is of this province and agency may be shown to it."""
        return (self.provinces is None or province in self.provinces) and (
            self.agencies is None or agency in self.agencies
        )


LOCAL = Caller("local", "local", "admin", None, None)


async def caller_of(request: Request) -> Caller:
    """The caller of a request."""
    caller: Caller = getattr(request.state, "caller", LOCAL)
    return caller


CallerNow = Annotated[Caller, Depends(caller_of)]
