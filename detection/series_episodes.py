"""What a rule keeps by series: few have something open, so these are kept one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")  # what is kept: a dataclass with slots


class SeriesEpisodes(Generic[T]):
    """A rule that keeps one T by (series number, name). made: a T of its fields in order."""

    def __init__(self, made: Callable[..., T]) -> None:
        self._made = made
        self.open: dict[tuple[int, str], T] = {}

    def state(self) -> list[tuple[int, str, list[Any]]]:
        """(series, name, fields) of everything that is kept."""
        return [
            (series, name, [getattr(one, f) for f in one.__slots__])  # type: ignore[attr-defined]
            for (series, name), one in self.open.items()
        ]

    def restore(self, state: list[tuple[int, str, list[Any]]]) -> None:
        """Keep exactly these."""
        self.open = {(series, name): self._made(*fields) for series, name, fields in state}
