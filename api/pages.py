"""Pages: some items, and the cursor to the next ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel

from api import cursors

T = TypeVar("T")
Row = TypeVar("Row")


class Page(BaseModel, Generic[T]):
    """`next` goes into the parameter `cursor`; null: there is nothing more."""

    items: list[T]
    next: str | None


def page_of(
    request: Request,
    rows: Sequence[Row],
    limit: int,
    *,
    item: Callable[[Row], dict[str, Any]],
    position: Callable[[Row], tuple[int | str, ...]],
) -> dict[str, Any]:
    """A page of at most `limit` items, of rows of which one more than that was asked for.

    item: a row as it is answered. position: where the page behind a row begins.
    """
    more = len(rows) > limit
    return {
        "items": [item(row) for row in rows[:limit]],
        "next": cursors.encode(request, position(rows[limit - 1])) if more else None,
    }
