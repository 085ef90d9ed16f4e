"""The key with which `govsense up` itself asks the API: for one run, in memory only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import httpx

from runtime.settings import Settings
from runtime.stores import open_ledger
from storage.ledger.keys import create_key, list_keys, revoke_key

NAME = "govsense up"


class Api(NamedTuple):
    """Where the API answers, and a key for it."""

    url: str
    key: str

    def get(self, path: str, *, timeout_s: float, **parameters: int) -> httpx.Response:
        """The answer to a GET below /api/v1. Raises httpx.HTTPError where that is no success."""
        answer = httpx.get(
            f"{self.url}/api/v1{path}",
            params=parameters,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=timeout_s,
            trust_env=False,
        )
        return answer.raise_for_status()


@contextmanager
def api_with_own_key(settings: Settings, url: str, seconds: float) -> Iterator[Api]:
    """The API with a viewer's key that ends with this run, at the latest after twice its time.

    What an earlier run left behind because it was killed is revoked first.
    """
    ledger = open_ledger(settings)
    now_ms = time.time_ns() // 1_000_000
    for key in list_keys(ledger):
        if key.name == NAME and key.state(now_ms) == "valid":
            revoke_key(ledger, key.id, now_ms=now_ms, by=NAME)
    days = (2 * seconds + 600) / 86_400
    made = create_key(ledger, name=NAME, role="viewer", days=days, now_ms=now_ms, by=NAME)
    try:
        yield Api(url, made.text)
    finally:
        revoke_key(ledger, made.key.id, now_ms=time.time_ns() // 1_000_000, by=NAME)
        ledger.close()
