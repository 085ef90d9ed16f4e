"""Says on standard error how a fleet is doing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from simulators.fleet import Fleet

UNREACHED_S = 5.0


class Progress:
    """A line on the terminal, or one warning where there is no terminal."""

    def __init__(self, broker: str, now_ms: Callable[[], int]) -> None:
        self._broker = broker
        self._now_ms = now_ms
        self._began = time.monotonic()
        self._warned = False
        self._on_terminal = sys.stderr.isatty()

    def show(self, fleet: Fleet) -> None:
        """Once a second: where the run stands."""
        trouble = fleet.tally.refused or ("" if fleet.connected else "no connection")
        if self._on_terminal:
            now = datetime.fromtimestamp(self._now_ms() / 1000, UTC)
            line = (
                f"{now:%Y-%m-%d %H:%M:%S}Z  {fleet.connected}/{fleet.connections} connected  "
                f"{fleet.tally.acknowledged} acknowledged  {fleet.pending} waiting  {trouble}"
            )
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif trouble and not self._warned and time.monotonic() - self._began > UNREACHED_S:
            self._warned = True
            print(
                f"govsense simulate: broker {self._broker}: {trouble}; trying on",
                file=sys.stderr,
                flush=True,
            )

    def end(self) -> None:
        """Leave the line."""
        if self._on_terminal:
            print(file=sys.stderr)
