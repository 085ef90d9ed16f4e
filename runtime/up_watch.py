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
        self._suspects: set[str] = set()  # who stood still at the last look

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
        if _answers(self._url):
            self._api_answered_at = now
        silent = {f"its {loop.name}": (OF_INGEST, loop.silent_s) for loop in loops}
        silent["it"] = ("api", now - self._api_answered_at)
        still = {
            what for what, (name, silent_s) in silent.items() if self._is_still(name, silent_s)
        }
        for what in still & self._suspects:
            name, silent_s = silent[what]
            self.supervisor.children[name].kill(f"{what} has not moved for {silent_s:.0f} s")
        self._suspects = still - self._suspects

    def _is_still(self, name: str, silent_s: float) -> bool:
        """Whether a child seems to stand still: seen once, the clock may have jumped instead."""
        child = self.supervisor.children.get(name)
        if child is None or child.pid is None:
            return False
        has_moved = silent_s < child.age_s
        return silent_s > self._still_s if has_moved else child.age_s > START_S


def _answers(url: str) -> bool:
    try:
        httpx.get(f"{url}/api/v1/health", timeout=API_WITHIN_S, trust_env=False)
    except httpx.HTTPError:
        return False
    return True
