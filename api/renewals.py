"""Whether credentials still hold, asked once for all the streams that go on under the same ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

SHARED_S = 1.0  # how old an answer may be that another stream is told
MOST = 10_000  # credentials that are remembered


class Renewals:
    """Lives in one event loop. An event that goes to a thousand streams asks once for each key."""

    def __init__(self, ask: Callable[[str], object]) -> None:
        """ask: raises where a credential holds no longer; may block."""
        self._ask = ask
        self._asked: dict[str, tuple[float, asyncio.Task[object]]] = {}

    async def check(self, credential: str) -> None:
        """Return where the credential held at most SHARED_S ago; raises what `ask` raises."""
        now_s = time.monotonic()
        asked_s, asking = self._asked.get(credential, (float("-inf"), None))
        if asking is None or now_s - asked_s > SHARED_S:
            if len(self._asked) >= MOST:
                self._asked.clear()
            asking = asyncio.create_task(run_in_threadpool(self._ask, credential))
            self._asked[credential] = (now_s, asking)
        await asyncio.shield(asking)  # one stream that ends does not end the question of others
