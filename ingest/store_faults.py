"""Living through a store that takes nothing: the disk is full, a server is away, a file is locked.

What a failed transaction has left in memory is thrown away: the processor is recovered from the
committed cursor, as after a crash, while the receiver goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ingest.journal import Head
from ingest.watch import Watch
from storage.faults import STORE_ERRORS, is_of_ledger, trouble_of, words_of

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 4.0  # recovered well within 10 s after the store is back
STEADY_S = 10.0  # what ran this long begins again with the first wait
PULSE_S = 0.1


def run_through_faults(
    run: Callable[[], None], stopping: Callable[[], bool], *, watch: Watch, head: Head
) -> None:
    """Call `run` until it returns, again after each fault of a store, ever more slowly.

    run: recovers a processor and runs it until `stopping`.
    """
    wait_s = FIRST_WAIT_S
    while True:
        began = time.monotonic()
        try:
            run()
        except STORE_ERRORS as exc:
            trouble = trouble_of(exc)
            if trouble is None:
                raise
            watch.refused(trouble, words_of(exc), by_ledger=is_of_ledger(exc))
        else:
            return
        if time.monotonic() - began > STEADY_S:
            wait_s = FIRST_WAIT_S
        until = time.monotonic() + wait_s
        wait_s = min(LONGEST_WAIT_S, 2 * wait_s)
        while time.monotonic() < until:
            if stopping():
                log.warning("stopped while a store took nothing: the journal holds what is left")
                return
            watch.look_at_stores()
            watch.look_at_receiver(head)
            time.sleep(PULSE_S)
