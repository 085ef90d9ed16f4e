"""Who may call which route: the one table. A route without a rule does not start.

A rule names the least role, and how a limit to provinces or agencies applies:

- `sites`: the route sees only what belongs to the sites in sight (storage/ledger/sight.py);
- `asked`: it answers about what `province`, `agency` or `site` name, which must be within the limit
  (api/platform.py);
- `country`: what it answers cannot be split by site; it is for callers without a limit;
- `none`: it answers nothing about any site.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from starlette.routing import BaseRoute, Route, compile_path

from api.callers import Role

Least = Literal["public", "viewer", "operator", "admin", "auditor"]
Scoping = Literal["sites", "asked", "country", "none"]

MAY: Mapping[str, frozenset[Role]] = {  # least role: who may
    "viewer": frozenset({"viewer", "operator", "admin", "auditor"}),
    "operator": frozenset({"operator", "admin"}),
    "admin": frozenset({"admin"}),
    "auditor": frozenset({"auditor", "admin"}),
}
V1 = "/api/v1"


class Rule(NamedTuple):
    """The least role that may call a route, and how a caller's limits apply to it."""

    least: Least
    scoping: Scoping


PUBLIC = Rule("public", "none")
SITES = Rule("viewer", "sites")
ASKED = Rule("viewer", "asked")
COUNTRY = Rule("viewer", "country")
ACTION = Rule("operator", "sites")
REFERENCE = Rule("viewer", "none")

RULES: Mapping[tuple[str, str], Rule] = {
    # The page and its files hold no data; the rest says whether the platform is well.
    ("GET", "/"): PUBLIC,
    ("GET", "/favicon.ico"): PUBLIC,
    ("GET", "/page/page.css"): PUBLIC,
    ("GET", "/page/page.js"): PUBLIC,
    ("GET", "/page/stream.js"): PUBLIC,
    ("GET", "/page/texts.js"): PUBLIC,
    ("GET", "/live"): PUBLIC,
    ("GET", "/public/v1/status"): PUBLIC,
    ("GET", "/public/v1/status.atom"): PUBLIC,
    ("GET", f"{V1}/live"): PUBLIC,
    ("GET", f"{V1}/health"): PUBLIC,
    ("GET", f"{V1}/ready"): PUBLIC,
    ("GET", f"{V1}/openapi.json"): PUBLIC,
    ("HEAD", f"{V1}/openapi.json"): PUBLIC,
    # Reference, and who one is.
    ("GET", f"{V1}/kinds"): REFERENCE,
    ("GET", f"{V1}/districts"): REFERENCE,
    ("GET", f"{V1}/me"): REFERENCE,
    # What belongs to sites.
    ("GET", f"{V1}/provinces"): SITES,
    ("GET", f"{V1}/sites"): SITES,
    ("GET", f"{V1}/sites/{{site}}"): SITES,
    ("GET", f"{V1}/sites/{{site}}/availability"): SITES,
    ("GET", f"{V1}/devices"): SITES,
    ("GET", f"{V1}/devices/{{device}}"): SITES,
    ("GET", f"{V1}/devices/{{device}}/latest"): SITES,
    ("GET", f"{V1}/devices/{{device}}/telemetry"): SITES,
    ("GET", f"{V1}/telemetry"): SITES,
    ("GET", f"{V1}/telemetry/latest"): SITES,
    ("GET", f"{V1}/devices/{{device}}/accounting"): SITES,
    ("GET", f"{V1}/devices/{{device}}/sequences"): SITES,
    ("GET", f"{V1}/accounting"): SITES,
    ("GET", f"{V1}/alerts"): SITES,
    ("GET", f"{V1}/alerts/{{alert}}"): SITES,
    ("POST", f"{V1}/alerts/{{alert}}/acknowledge"): ACTION,
    ("POST", f"{V1}/alerts/{{alert}}/unacknowledge"): ACTION,
    ("POST", f"{V1}/alerts/{{alert}}/comments"): ACTION,
    ("POST", f"{V1}/alerts/{{alert}}/assign"): ACTION,
    ("POST", f"{V1}/alerts/{{alert}}/close"): ACTION,
    ("GET", f"{V1}/incidents"): SITES,
    ("GET", f"{V1}/incidents/{{incident}}"): SITES,
    ("POST", f"{V1}/incidents/{{incident}}/comments"): ACTION,
    ("POST", f"{V1}/incidents/{{incident}}/assign"): ACTION,
    ("POST", f"{V1}/incidents/{{incident}}/close"): ACTION,
    ("GET", f"{V1}/windows"): SITES,
    ("GET", f"{V1}/windows/{{window}}"): SITES,
    ("POST", f"{V1}/windows"): ACTION,
    ("POST", f"{V1}/windows/{{window}}/approve"): ACTION,
    ("POST", f"{V1}/windows/{{window}}/end"): ACTION,
    ("GET", f"{V1}/reports/connectivity"): ASKED,
    ("GET", f"{V1}/reports/connectivity/revisions"): ASKED,
    ("GET", f"{V1}/reports/rollout"): ASKED,
    # Devices that are not registered. To accept one changes the registry, which is the country's.
    ("GET", f"{V1}/enrolment"): SITES,
    ("GET", f"{V1}/enrolment/{{device}}"): SITES,
    ("POST", f"{V1}/enrolment/{{device}}/accept"): Rule("admin", "country"),
    ("POST", f"{V1}/enrolment/{{device}}/refuse"): Rule("admin", "country"),
    ("GET", f"{V1}/quarantine"): SITES,
    ("GET", f"{V1}/quarantine/{{id}}"): SITES,
    ("GET", f"{V1}/events"): SITES,
    # Of the whole country.
    ("GET", f"{V1}/stats"): COUNTRY,
    ("GET", "/metrics"): COUNTRY,
    ("GET", f"{V1}/audit"): Rule("auditor", "country"),
}


class RuleError(Exception):
    """A route has no rule, or a rule no route."""


class Rules:
    """The rules of an application's routes, looked up by method and path as its router would."""

    def __init__(
        self,
        routes: Iterable[tuple[str, BaseRoute]],
        table: Mapping[tuple[str, str], Rule] = RULES,
    ) -> None:
        """routes: all of them in their order, each with the prefix of its path.

        Raises RuleError, so that nothing is served whose rights nobody has thought of.
        """
        self._patterns: list[tuple[str, re.Pattern[str], Rule]] = []
        ruled = set()
        for prefix, route in routes:
            if not isinstance(route, Route):
                raise RuleError(f"{route!r} is no route that a rule can be given for")
            for method in sorted(route.methods or ()):
                place = (method, prefix + route.path)
                if place not in table:
                    raise RuleError(f"{method} {place[1]} has no rule in api/rules.py")
                ruled.add(place)
                self._patterns.append((method, compile_path(place[1])[0], table[place]))
        if unused := table.keys() - ruled:
            raise RuleError(f"rules in api/rules.py without a route: {sorted(unused)}")

    def of_path(self, path: str) -> dict[str, Rule]:
        """The rules of all requests to a path, by method, in order of method."""
        matching = {m: rule for m, pattern, rule in self._patterns if pattern.match(path)}
        return dict(sorted(matching.items()))

    def find(self, method: str, path: str) -> Rule | None:
        """The rule of a request; None where no route takes it."""
        for known, pattern, rule in self._patterns:
            if known == method and pattern.match(path):
                return rule
        return None
