"""The client's questions about what was refused, and devices that are not registered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from api import answers_strangers as answers
from api.client_connection import Connection, part_of_path


class Strangers(Connection):
    """What was refused, and who is new."""

    def quarantine(self, **filters: Any) -> Iterator[answers.Quarantined]:
        """Refused messages, the newest first: reason, device, state."""
        return self.pages("/quarantine", answers.Quarantined, **filters)

    def quarantined(self, number: int) -> answers.Quarantined:
        """One refused message with its payload."""
        return self.get(f"/quarantine/{number}", answers.Quarantined)

    def enrolment(self, **filters: Any) -> Iterator[answers.Newcomer]:
        """Devices that send without being registered: state, province."""
        return self.pages("/enrolment", answers.Newcomer, **filters)

    def newcomer(self, device: str) -> answers.Newcomer:
        """One of them with its newest message."""
        return self.get(f"/enrolment/{part_of_path(device)}", answers.Newcomer)

    def accept(
        self,
        device: str,
        *,
        site: str,
        kind: str,
        interval_s: float,
        uplink: int = 1,
        params: Mapping[str, Any] | None = None,
    ) -> answers.Accepted:
        """Register one of them; all that is held of it is replayed."""
        body = {"site": site, "kind": kind, "interval_s": interval_s, "uplink": uplink}
        body["params"] = dict(params or {})
        return self.post(f"/enrolment/{part_of_path(device)}/accept", body, answers.Accepted)

    def refuse(self, device: str, *, reason: str, days: int = 30) -> answers.Newcomer:
        """Show one of them no more until it sends something when the days are over."""
        body = {"reason": reason, "days": days}
        return self.post(f"/enrolment/{part_of_path(device)}/refuse", body, answers.Newcomer)
