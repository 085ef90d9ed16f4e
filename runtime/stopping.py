"""When a process should stop: a signal to end, or the process that it follows has gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


def stop_requested(follow: int | None = None) -> Callable[[], bool]:
    """A predicate that turns true when we are told to end, or when parent `follow` has gone.

    SIGTERM, SIGINT, and SIGHUP, which comes when the terminal is closed, unless nohup ignores it.
    """
    stop = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal stop
        stop = True

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, on_signal)
    return lambda: stop or (follow is not None and os.getppid() != follow)
