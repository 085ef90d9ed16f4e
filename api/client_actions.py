"""What operators do, by the client: with alerts, incidents, silences and maintenance.

Each takes `idempotency_key`, a text of yours that makes it safe to try again, and `if_match`, the
`revision` of what you saw: StaleError where somebody acted meanwhile.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict, Unpack

from api.answers_trouble import Alert, Incident, Window
from api.client_connection import Connection, part_of_path

CloseReason = Literal[
    "false-alarm", "known-problem", "planned-work", "not-our-duty", "decommissioned", "duplicate",
    "other",
]  # fmt: skip


class Safety(TypedDict, total=False):
    """What keeps an action from being done twice, or on what has changed."""

    idempotency_key: str | None
    if_match: int | None


class Actions(Connection):
    """What operators do."""

    def acknowledge(
        self, alert: str, *, comment: str, by: str | None = None, **safety: Unpack[Safety]
    ) -> Alert:
        """Say that somebody has seen an alert that fires. by: who, where you act for another."""
        body = {"by": by, "comment": comment}
        return self.post(_alert(alert, "acknowledge"), body, Alert, **safety)

    def unacknowledge(self, alert: str, *, text: str, **safety: Unpack[Safety]) -> Alert:
        """Take that back: the alert is firing again."""
        return self.post(_alert(alert, "unacknowledge"), {"text": text}, Alert, **safety)

    def comment_alert(self, alert: str, *, text: str, **safety: Unpack[Safety]) -> Alert:
        """Say something about an alert."""
        return self.post(_alert(alert, "comments"), {"text": text}, Alert, **safety)

    def assign_alert(
        self, alert: str, *, to: str | None, text: str | None = None, **safety: Unpack[Safety]
    ) -> Alert:
        """Give an alert into somebody's hands, None: nobody's. Out of another's with if_match."""
        body = {"to": to, "text": text}
        return self.post(_alert(alert, "assign"), body, Alert, **safety)

    def close_alert(
        self, alert: str, *, reason: CloseReason, text: str, **safety: Unpack[Safety]
    ) -> Alert:
        """Put an open alert away."""
        body = {"reason": reason, "text": text}
        return self.post(_alert(alert, "close"), body, Alert, **safety)

    def comment_incident(self, incident: str, *, text: str, **safety: Unpack[Safety]) -> Incident:
        """Say something about an incident."""
        return self.post(_incident(incident, "comments"), {"text": text}, Incident, **safety)

    def assign_incident(
        self, incident: str, *, to: str | None, text: str | None = None, **safety: Unpack[Safety]
    ) -> Incident:
        """Give an incident into somebody's hands, None: nobody's. Out of another's: if_match."""
        body = {"to": to, "text": text}
        return self.post(_incident(incident, "assign"), body, Incident, **safety)

    def close_incident(
        self, incident: str, *, reason: CloseReason, text: str, **safety: Unpack[Safety]
    ) -> Incident:
        """Put an incident and its open alerts away."""
        body = {"reason": reason, "text": text}
        return self.post(_incident(incident, "close"), body, Incident, **safety)

    def propose_window(
        self,
        kind: Literal["silence", "maintenance"],
        scope: str,
        scope_id: str = "",
        *,
        end: datetime,
        reason: str,
        start: datetime | None = None,
        **safety: Unpack[Safety],
    ) -> Window:
        """Begin, or plan, a silence or maintenance of a scope such as site; start: now."""
        reach = {"type": scope, "id": scope_id}
        body = {"kind": kind, "scope": reach, "start": start, "end": end, "reason": reason}
        return self.post("/windows", body, Window, **safety)

    def approve_window(self, window: str, *, text: str, **safety: Unpack[Safety]) -> Window:
        """Put one that is proposed in force, as another person than its author."""
        path = f"/windows/{part_of_path(window)}/approve"
        return self.post(path, {"text": text}, Window, **safety)

    def end_window(self, window: str, *, text: str, **safety: Unpack[Safety]) -> Window:
        """End one now, or withdraw one that has not begun."""
        path = f"/windows/{part_of_path(window)}/end"
        return self.post(path, {"text": text}, Window, **safety)


def _alert(alert: str, action: str) -> str:
    return f"/alerts/{part_of_path(alert)}/{action}"


def _incident(incident: str, action: str) -> str:
    return f"/incidents/{part_of_path(incident)}/{action}"
