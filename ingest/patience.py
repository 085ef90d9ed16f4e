"""What a loop of ingest does while PostgreSQL is away: it waits, and begins anew at its cursor."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from storage.ledger.migrations import LedgerAwayError, is_away

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 10.0
STEADY_S = 30.0  # what went on for so long begins again with the first wait
LOOK_S = 0.05


def patiently(work: Callable[[Callable[[], None]], T], stopping: Callable[[], bool]) -> T | None:
    """What `work` returns; None when told to stop before.

    Whenever the ledger goes away `work` is called again, ever more slowly: it must begin with what
    is committed, and call what it is given as soon as the ledger answers. The log says once that
    the ledger is away, and once that it is back. Raises whatever else `work` raises.
    """
    wait_s, told = FIRST_WAIT_S, False

    def answers() -> None:
        nonlocal told
        if told:
            log.info("the ledger answers again")
        told = False

    while True:
        began = time.monotonic()
        try:
            return work(answers)
        except (LedgerAwayError, DBAPIError) as exc:
            if isinstance(exc, DBAPIError) and not is_away(exc):
                raise
            if time.monotonic() - began > STEADY_S:
                wait_s = FIRST_WAIT_S
            if not told:
                log.error(
                    "the ledger in PostgreSQL is away; the journal holds what comes, and"
                    " processing goes on at its cursor when the ledger answers: %s",
                    exc.orig if isinstance(exc, DBAPIError) else exc,
                )
            told = True
        if _stopped_within(wait_s, stopping):
            return None
        wait_s = min(LONGEST_WAIT_S, 2 * wait_s)


def _stopped_within(wait_s: float, stopping: Callable[[], bool]) -> bool:
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if stopping():
            return True
        time.sleep(LOOK_S)
    return stopping()
