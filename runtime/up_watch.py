"""What `govsense up` does about a process that lives but stands still: it kills it."""

from __future__ import annotations

import time

import httpx
from sqlalchemy.exc import SQLAlchemyError

from runtime.loops import Loops
from runtime.supervisor import Supervisor

LOOK_S = 2.0
STILL_S = 30.0
START_S = 300.0  # for one that has not moved since its start: a long recovery is no reason to kill
API_WITHIN_S = 1.0
OF_INGEST = "ingest"


class Watch:
    """Looks at the loops now and then, and at whether the API answers."""

    def __init__(
        self, supervisor: Supervisor, loops: Loops, url: str, *, still_s: float = STILL_S
    ) -> None:
        """url: of the API; still_s: seconds that a process may stand still."""
        self.supervisor = supervisor
        self._loops = loops
        self._url = url
        self._still_s = still_s
        self._look_at = 0.0
        self._api_answered_at = time.monotonic()

    def look(self) -> None:
        """Start again what has ended, and what stands still. Call this often."""
        self.supervisor.watch()
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_S
        try:
            loops = self._loops.look()
        except SQLAlchemyError:
            loops = []  # the ledger is busy: what it says is not known now
        for loop in loops:
            self._judge(OF_INGEST, f"its {loop.name}", loop.silent_s)
        if _answers(self._url):
            self._api_answered_at = now
        self._judge("api", "it", now - self._api_answered_at)

    def _judge(self, name: str, what: str, silent_s: float) -> None:
        child = self.supervisor.children.get(name)
        if child is None or child.pid is None:
            return
        has_moved = silent_s < child.age_s
        if has_moved and silent_s > self._still_s:
            child.kill(f"{what} has not moved for {silent_s:.0f} s")
        elif not has_moved and child.age_s > START_S:
            child.kill(f"{what} has not moved since its start")


def _answers(url: str) -> bool:
    try:
        httpx.get(f"{url}/api/v1/health", timeout=API_WITHIN_S, trust_env=False)
    except httpx.HTTPError:
        return False
    return True
