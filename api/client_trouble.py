"""The client's questions about what is wrong: alerts, incidents, windows, and their changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from api import answers_trouble as answers
from api.client_connection import Connection, part_of_path
from api.client_events import read_events


class Trouble(Connection):
    """What is wrong."""

    def alerts(self, **filters: Any) -> Iterator[answers.Alert]:
        """Alerts, the newest first.

        Filters: state, severity, province, site, device, kind, agency, rule, cause, incident,
        text, from_, to.
        """
        return self.pages("/alerts", answers.Alert, **filters)

    def alert(self, alert: str) -> answers.Alert:
        """One alert with its evidence and its history."""
        return self.get(f"/alerts/{part_of_path(alert)}", answers.Alert)

    def incidents(self, **filters: Any) -> Iterator[answers.Incident]:
        """Incidents, the newest first.

        Filters: state, cause, scope, site, province, agency, rule, severity, text, from_, to.
        """
        return self.pages("/incidents", answers.Incident, **filters)

    def incident(self, incident: str) -> answers.Incident:
        """One incident with its changes, its alerts and its history."""
        return self.get(f"/incidents/{part_of_path(incident)}", answers.Incident)

    def windows(self, **filters: Any) -> Iterator[answers.Window]:
        """Silences and maintenance, the last to begin first.

        Filters: kind, status, scope with id, province, agency, from_, to.
        """
        return self.pages("/windows", answers.Window, **filters)

    def window(self, window: str) -> answers.Window:
        """One silence or maintenance with its history."""
        return self.get(f"/windows/{part_of_path(window)}", answers.Window)

    def events(self, *, after: int | None = None) -> Iterator[answers.Event]:
        """Changes as they happen, for ever; after: the id of the last one that is known.

        A connection that breaks is made again and goes on behind the last event. Raises AwayError
        when that fails several times in a row.
        """
        return read_events(self._http, after=after, tries=self._tries, wait=self._wait)
