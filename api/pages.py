"""Pages: some items, and the cursor to the next ones."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import BaseModel

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """`next` goes into the parameter `cursor`; null: there is nothing more."""

    items: list[T]
    next: str | None
