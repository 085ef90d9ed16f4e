"""The board: one computation of the public status for all who ask within half a minute."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError, TimeoutError  # noqa: A004
from starlette.concurrency import run_in_threadpool

from api.public import as_json, atom
from api.public.status import PublicStatus

log = logging.getLogger(__name__)

PERIOD_S = 30
STALE_S = 2 * PERIOD_S  # from this age on the figures are called stale
RETRY_S = 5.0  # between two tries while nothing is known at all
PATIENCE_S = 1.0  # who could have the last known answer waits no longer for a new one
FIRST_S = 10.0


class UnknownError(Exception):
    """Nothing is known yet, and the ledger did not say it in time."""


class Posted(NamedTuple):
    """What is answered: bodies, and entity tags that say whether what they tell has changed."""

    json: bytes
    json_tag: str
    atom: bytes
    atom_tag: str


class Board:
    """Computes at most once every PERIOD_S, and answers with the last known while it does.

    Not thread-safe: it belongs to the event loop of the API. clock: seconds that only grow.
    """

    def __init__(
        self, compute: Callable[[], PublicStatus], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._compute = compute
        self._clock = clock
        self._due_s = clock()
        self._task: asyncio.Task[None] | None = None
        self._known: tuple[float, PublicStatus] | None = None
        self._posted: tuple[tuple[float, int], Posted] | None = None

    async def read(self) -> Posted:
        """What is known, with its age. Raises UnknownError before anything is."""
        if self._task is None and self._clock() >= self._due_s:
            self._task = asyncio.create_task(self._renew())
        if self._task is not None:
            patience_s = PATIENCE_S if self._known else FIRST_S
            done, _ = await asyncio.wait({self._task}, timeout=patience_s)
            for task in done:
                task.result()
        if self._known is None:
            raise UnknownError
        return self._post(*self._known)

    async def _renew(self) -> None:
        try:
            status = await run_in_threadpool(self._compute)
            self._known = (self._clock(), status)
        except (DBAPIError, TimeoutError) as exc:
            log.warning("the public status is not renewed: %s", exc)
        finally:
            self._due_s = self._clock() + (PERIOD_S if self._known else RETRY_S)
            self._task = None

    def _post(self, at_s: float, status: PublicStatus) -> Posted:
        age_s = int((self._clock() - at_s) // PERIOD_S) * PERIOD_S
        if self._posted is None or self._posted[0] != (at_s, age_s):
            self._posted = (at_s, age_s), _posted(status, age_s)
        return self._posted[1]


def _posted(status: PublicStatus, age_s: int) -> Posted:
    is_stale = age_s >= STALE_S
    shown_s = age_s if is_stale else 0
    # The tag leaves the time of computing out: the same figures again are no news.
    timeless = as_json.render(status._replace(computed_ms=0), age_s=shown_s, is_stale=is_stale)
    feed = atom.render(status)
    return Posted(
        json=as_json.render(status, age_s=shown_s, is_stale=is_stale),
        json_tag=_tag(timeless),
        atom=feed,
        atom_tag=_tag(feed),
    )


def _tag(body: bytes) -> str:
    return f'"{blake2b(body, digest_size=12).hexdigest()}"'
