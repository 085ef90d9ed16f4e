"""The conservation law, scraped every 100 ms while faults happen."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import httpx
from sqlalchemy.exc import OperationalError

from ingest.journal.head import Head
from storage.ledger import totals
from storage.ledger.migrations import open_ledger
from tests.faults.deployments import Deployment
from tests.faults.guarantees import record

EVERY_S = 0.1
ANSWER_WITHIN_S = 2.0
OUTCOMES = ("stored", "duplicate", "quarantined")


class Scrape(NamedTuple):
    """The two sides of the law at one moment."""

    received: int
    outcomes: dict[str, int]
    pending: int

    @property
    def off_by(self) -> int:
        """received - (stored + duplicate + quarantined + pending)."""
        return self.received - sum(self.outcomes.values()) - self.pending


class Conservation:
    """Scrapes /metrics, or where the API does not answer the ledger and the journal themselves.

    Beyond the law: what was received is never less than before, nor more than is in the journal.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.scrapes = self.of_api = 0
        self.violations: list[str] = []
        self._deployment = deployment
        self._url = f"http://127.0.0.1:{deployment.http_port}/metrics"
        self._client = httpx.Client(
            timeout=ANSWER_WITHIN_S, trust_env=False, headers=deployment.headers
        )
        self._head = Head(deployment.journal, create=False)
        self._ledger = open_ledger(deployment.ledger_url)
        self._received = 0  # as the API said last
        self._over = threading.Event()

    @contextmanager
    def watched(self) -> Iterator[Conservation]:
        """Scrape from a thread; at the end of the context, fail on any violation."""
        thread = threading.Thread(target=self._watch, name="conservation")
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()
            self._client.close()
            self._head.close()
            self._ledger.close()
        assert not self.violations, self.violations[:5]
        assert self.scrapes > 0

    def record(self, during: str) -> None:
        """Keep the figure of the promise."""
        found = f"{len(self.violations)} violations in {self.scrapes:,} scrapes during {during}"
        record("conservation", found, met=not self.violations, of=self._deployment.kind)

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            try:
                scrape = self._of_api()
            except httpx.ConnectError:
                scrape = self._of_stores()
            except httpx.HTTPError:
                continue
            if scrape is None:
                continue
            self.scrapes += 1
            if scrape.off_by or scrape.pending < 0:
                self.violations.append(f"off by {scrape.off_by}: {scrape}")

    def _of_api(self) -> Scrape | None:
        """None where it says that the ledger is away."""
        answer = self._client.get(self._url)
        if answer.status_code != 200:
            return None
        rows = (line.rsplit(" ", 1) for line in answer.text.splitlines() if line[0] != "#")
        said = {name: int(float(v)) for name, v in rows if name.startswith("govsense_messages_")}
        self.of_api += 1
        received = said["govsense_messages_received_total"]
        in_journal = self._position_from(received)
        if not self._received <= received <= in_journal:
            self.violations.append(f"received {received}, {self._received} before, {in_journal=}")
        self._received = received
        outcomes = {name: said[f"govsense_messages_{name}_total"] for name in OUTCOMES}
        return Scrape(received, outcomes, said["govsense_messages_pending"])

    def _position_from(self, received: int) -> int:
        """The head, once it has reached so much or a second is over: it may be just being moved."""
        deadline = time.monotonic() + 1
        while self._head.position < received and time.monotonic() < deadline:
            time.sleep(0.01)
        return self._head.position

    def _of_stores(self) -> Scrape | None:
        """None where the ledger is away too."""
        try:
            found = totals.read(self._ledger)
        except OperationalError:
            return None
        received = self._head.position
        outcomes = {name: found.counts.get(f"messages_{name}", 0) for name in OUTCOMES}
        return Scrape(received, outcomes, received - found.position)
