"""The client's questions about the platform itself, its audit, and what everybody may know."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from api import answers
from api.answers_public import PublicStatus
from api.client_connection import V1, Connection


class Operation(Connection):
    """How the platform is, who one is, what the public sees.

    health, live and ready are asked once: an AwayError says at once what is not well.
    """

    def health(self) -> answers.Health:
        """Whether the API answers."""
        return msgspec.json.decode(self._read(f"{V1}/health", {}, tries=1), type=answers.Health)

    def live(self) -> answers.Live:
        """Whether every loop of the platform moves."""
        return msgspec.json.decode(self._read(f"{V1}/live", {}, tries=1), type=answers.Live)

    def ready(self) -> answers.Ready:
        """Whether every part of the platform is well."""
        return msgspec.json.decode(self._read(f"{V1}/ready", {}, tries=1), type=answers.Ready)

    def stats(self) -> answers.Stats:
        """Totals, latencies, open alerts."""
        return self.get("/stats", answers.Stats)

    def metrics(self) -> str:
        """The counters, as Prometheus reads them."""
        return self._read("/metrics", {}).decode()

    def me(self) -> answers.Me:
        """Whose key this is, what it sees and how much it may ask for."""
        return self.get("/me", answers.Me)

    def audit(self) -> Iterator[answers.AuditRow]:
        """Who wrote, was refused or read much, the newest first."""
        return self.pages("/audit", answers.AuditRow)

    def public_status(self) -> PublicStatus:
        """What everybody may know."""
        return msgspec.json.decode(self._read("/public/v1/status", {}), type=PublicStatus)

    def public_feed(self) -> str:
        """The same as an Atom feed."""
        return self._read("/public/v1/status.atom", {}).decode()
