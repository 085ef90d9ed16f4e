"""What a loop of ingest does while a store takes nothing: it waits, and begins anew at its cursor.

The disk is full, PostgreSQL is away, a file is locked: what a failed transaction has left in memory
is thrown away, and the work begins again with what is committed, as after a crash, while the
receiver goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from storage.faults import STORE_ERRORS, StoreError, Trouble, is_of_ledger, trouble_of, words_of
from storage.ledger.migrations import LedgerAwayError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 4.0  # back well within 10 s after the store is
STEADY_S = 10.0  # what went on for so long begins again with the first wait
PULSE_S = 0.1


def patiently(
    work: Callable[[Callable[[], None]], T],
    stopping: Callable[[], bool],
    *,
    on_trouble: Callable[[Trouble, StoreError], None] = lambda trouble, exc: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> T | None:
    """What `work` returns; None when told to stop before.

    Whenever a store takes nothing, `on_trouble` is told and `work` is called again, ever more
    slowly; `meanwhile` is called every PULSE_S of the wait. `work` must begin with what is
    committed, and call what it is given as soon as its stores answer. The log says once that a
    store takes nothing, and once that it answers. Raises whatever else `work` raises.
    """
    wait_s, told = FIRST_WAIT_S, False

    def answers() -> None:
        nonlocal told
        if told:
            log.info("the stores answer again")
        told = False

    while True:
        began = time.monotonic()
        try:
            return work(answers)
        except LedgerAwayError as exc:
            said = str(exc)
        except STORE_ERRORS as exc:
            trouble = trouble_of(exc)
            if trouble is None:
                raise
            said = _said(trouble, exc)
            on_trouble(trouble, exc)
        if time.monotonic() - began > STEADY_S:
            wait_s = FIRST_WAIT_S
        if not told:
            log.error(
                "%s; the journal holds what comes, and processing goes on at its cursor when it"
                " answers",
                said,
            )
        told = True
        if _stopped_within(wait_s, stopping, meanwhile):
            log.warning("stopped while a store took nothing: the journal holds what is left")
            return None
        wait_s = min(LONGEST_WAIT_S, 2 * wait_s)


def _said(trouble: Trouble, exc: StoreError) -> str:
    store = "the ledger" if is_of_ledger(exc) else "the store of telemetry"
    what = "has no space left on its disk" if trouble == "full" else "is away"
    return f"{store} {what}: {words_of(exc)}"


def _stopped_within(
    wait_s: float, stopping: Callable[[], bool], meanwhile: Callable[[], None]
) -> bool:
    until = time.monotonic() + wait_s
    while time.monotonic() < until:
        if stopping():
            return True
        meanwhile()
        time.sleep(PULSE_S)
    return stopping()
