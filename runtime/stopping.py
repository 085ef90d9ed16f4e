"""When a process should stop: SIGTERM, SIGINT, or the process that it follows has gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


def stop_requested(follow: int | None = None) -> Callable[[], bool]:
    """A predicate that turns true at SIGTERM or SIGINT, or when parent `follow` has gone."""
    stop = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    return lambda: stop or (follow is not None and os.getppid() != follow)
