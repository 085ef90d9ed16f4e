"""/me: who one is here, and what one may."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from api.callers import CallerNow, Role
from api.documentation import documented
from api.platform import PlatformNow

router = APIRouter(tags=["rights"])


class Me(BaseModel):
    """Who calls. provinces, agencies: which they may see; null: all."""

    id: str
    name: str
    role: Role
    provinces: list[str] | None
    agencies: list[str] | None
    requests_per_minute: int
    page_items: int
    stored_rows: int


ME_EXAMPLE = {
    "id": "key-1f2e3d4c",
    "name": "Health portal",
    "role": "viewer",
    "provinces": None,
    "agencies": ["Health"],
    "requests_per_minute": 1200,
    "page_items": 10000,
    "stored_rows": 200000,
}


@router.get("/me", response_model=Me, responses=documented(ME_EXAMPLE))
async def me(caller: CallerNow, platform: PlatformNow) -> dict[str, Any]:
    """Whose key or token this is, its role, what it sees and how much it may ask for.

    page_items: of the largest page. stored_rows: what one answer may be made from.
    """
    return {
        "id": caller.id,
        "name": caller.name,
        "role": caller.role,
        "provinces": _listed(caller.provinces),
        "agencies": _listed(caller.agencies),
        **platform.limits._asdict(),
    }


def _listed(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
