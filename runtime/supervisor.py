"""The supervisor: child processes that are started, watched, restarted and stopped in order."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

log = logging.getLogger(__name__)

FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.5, 15.0
STEADY_S = 30.0  # a child that ran this long begins again with the first back-off
STOP_WITHIN_S = 10.0
PR_SET_PDEATHSIG = 1  # linux/prctl.h

_libc = ctypes.CDLL(None)  # loaded here: between fork and exec little may be done


class Child:
    """One supervised process. It is restarted whenever it ends, ever more slowly."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.restarts = 0
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._backoff_s = FIRST_BACKOFF_S
        self._start_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def age_s(self) -> float:
        """Seconds since it was started last."""
        return time.monotonic() - self._start_at

    def kill(self, why: str) -> None:
        """kill -9 of it and of all that it started; `watch` starts it again."""
        if self._process is not None and self._process.poll() is None:
            log.error("%s is killed: %s", self.name, why)
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def watch(self) -> None:
        """Start it if it does not run and its back-off has passed. Call this often."""
        now = time.monotonic()
        if self._process is not None and (code := self._process.poll()) is not None:
            self._process = None
            if now - self._start_at > STEADY_S:
                self._backoff_s = FIRST_BACKOFF_S
            log.error(
                "%s ended with code %s; next start in %.1f s", self.name, code, self._backoff_s
            )
            self._start_at = now + self._backoff_s
            self._backoff_s = min(LONGEST_BACKOFF_S, 2 * self._backoff_s)
            self.restarts += 1
        if self._process is None and now >= self._start_at:
            self._start_at = now
            # A session of its own: Ctrl-C reaches us only, and we stop the children in order.
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that does not help within 10 s."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            log.error("%s did not stop within %.0f s and was killed", self.name, STOP_WITHIN_S)
            self._process.kill()
            self._process.wait()
        self._process = None


def _end_with_parent() -> None:
    """In the child: SIGTERM when the supervisor is killed, so that it leaves no orphans."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Supervisor:
    """Children in the order in which they are started; stopped in the reverse order."""

    def __init__(self) -> None:
        self.children: dict[str, Child] = {}

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start a child and keep it running."""
        child = self.children[name] = Child(name, command, environment)
        child.watch()

    def watch(self) -> None:
        """Restart what has ended. Call this often."""
        for child in self.children.values():
            child.watch()

    def stop(self, *names: str) -> None:
        """Stop these children, or all, last started first."""
        for name in reversed(list(self.children)):
            if not names or name in names:
                self.children.pop(name).stop()
