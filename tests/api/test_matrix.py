"""Who may call what: every route of the OpenAPI, with every role, own and foreign, and no key.

What is expected follows from docs/api.md: the table of roles is written down here once more, so
that a mistake in api/rules.py is no agreement of one table with itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.routing import Route

from api.app import create_app
from api.callers import ROLES, Role
from api.rules import RULES, RuleError, Rules
from detection.incidents.changes import Scope
from devices.wire.message import Refusal
from devices.wire.reasons import UNKNOWN_DEVICE
from storage.ledger.events import Event, add_events
from storage.ledger.facts import Facts, Quarantined, commit
from storage.ledger.keys import revoke_key
from tests.api.world import NOW_MS, World, incident, world_in

V1 = "/api/v1"
STATUS = {"/public/v1/status", "/public/v1/status.atom"}
PUBLIC = {f"{V1}/live", f"{V1}/health", f"{V1}/ready"} | STATUS
DECIDED = {f"{V1}/enrolment/{{device}}/{verb}" for verb in ("accept", "refuse")}
FOR_AUDITORS = {f"{V1}/audit"}
OF_THE_COUNTRY = {f"{V1}/stats", "/metrics", f"{V1}/audit"} | DECIDED
THE_SAME_FOR_ALL = {f"{V1}/kinds", f"{V1}/districts", f"{V1}/me"}
REPORTS = {f"{V1}/reports/{name}" for name in ("connectivity", "connectivity/revisions", "rollout")}
STREAM = f"{V1}/events"
PROPOSING = ("POST", f"{V1}/windows")
QUERIES = {
    f"{V1}/telemetry": "?device={device}",
    **dict.fromkeys(REPORTS, "?province={province}&agency={agency}"),
}
BODIES: dict[str, dict[str, Any]] = {  # by the last part of a path
    "acknowledge": {"by": "S. Vong", "comment": "seen"},
    "assign": {"to": None},
    "close": {"reason": "other", "text": "x"},
    "accept": {"site": "nowhere", "kind": "connectivity-probe", "interval_s": 60.0},
    "refuse": {"reason": "x"},
}


class Part(NamedTuple):
    """Half of the country: what is in it, by the names of path parameters, and all its names.

    stranger: a device that sends there without being registered.
    """

    province: str
    agency: str
    places: dict[str, str]
    stranger: str
    names: set[str]


OFFICE = Part(
    "LA-LP",
    "Interior",
    {"device": "p0", "site": "office", "alert": "a001", "incident": "i3", "id": "1"},
    "new-lp",
    {"p0", "n0", "Office", "a001", "a002", "a004", "a005", "i3", "gov/v1/LA-LP/p0/telemetry"},
)
CLINIC = Part(
    "LA-VT",
    "Health",
    {"device": "c0", "site": "clinic", "alert": "a003", "incident": "i4", "id": "3"},
    "new-vt",
    {"c0", "n1", "old", "clinic", "Clinic", "a003", "i4", "gov/v1/LA-VT/c0/telemetry"},
)
LIMITS: dict[str, dict[str, list[str]]] = {
    "all": {},
    "own province": {"provinces": ["LA-LP"]},
    "own agency": {"agencies": ["Interior"]},
    "both": {"provinces": ["LA-LP", "LA-SV"], "agencies": ["Interior"]},
    "other province": {"provinces": ["LA-VT"]},
    "other agency": {"agencies": ["Health"]},
    "nothing": {"provinces": ["LA-LP"], "agencies": ["Health"]},
}


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world with an incident, a refused message and an event of each half."""
    with world_in(tmp_path_factory.mktemp("country")) as world:
        facts = Facts(
            position=249,
            incident_changes=[
                incident("i3", "open", scope=Scope("site", "office"), sites=("office",)),
                incident("i4", "open", scope=Scope("site", "clinic"), sites=("clinic",),
                         devices=("c0",)),
            ],
            quarantined=[
                Quarantined(NOW_MS, "gov/v1/LA-VT/c0/telemetry", "c0", b"{}",
                            [Refusal("bad-version", "v", "9")], True),
                *(Quarantined(NOW_MS, topic_of(part), part.stranger, b"{}",
                              [Refusal(UNKNOWN_DEVICE, "", "")], True)
                  for part in (OFFICE, CLINIC)),
            ],
        )  # fmt: skip
        commit(world.ledger, facts, now_ms=NOW_MS)
        said = [Event(NOW_MS, "device", {"device": d, "state": "online"}) for d in ("p0", "c0")]
        with world.ledger.begin() as connection:
            add_events(connection, said)
        for part in (OFFICE, CLINIC):
            body = window_at(part) | {"kind": "maintenance"}
            part.places["window"] = world.done("/windows", body)["window"]
        yield world


def topic_of(part: Part) -> str:
    """Where its stranger sends."""
    return f"gov/v1/{part.province}/{part.stranger}/telemetry"


def window_at(part: Part) -> dict[str, Any]:
    """A silence of its site."""
    scope = {"type": "site", "id": part.places["site"]}
    return {"kind": "silence", "scope": scope, "end": "2026-10-05T03:00:00Z", "reason": "x"}


@pytest.fixture(scope="module")
def operations(country: World) -> list[tuple[str, str]]:
    """(method, path) of every route of the document."""
    paths: dict[str, Any] = country.get("/openapi.json")["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


def ask(client: httpx.Client, method: str, path: str, part: Part) -> tuple[int, str]:
    """The status, and the body unless it is a stream without end."""
    device = part.stranger if "/enrolment/" in path else part.places["device"]
    where = {**part._asdict(), **part.places, "device": device}
    url = (path + QUERIES.get(path, "")).format(**where)
    verb = path.rpartition("/")[2]
    body = window_at(part) if verb == "windows" else BODIES.get(verb, {"text": "x"})
    json_body = body if method == "POST" else None
    if path == STREAM:
        with client.stream(method, f"{url}?after=0") as answer:
            return answer.status_code, ""
    answer = client.request(method, url, json=json_body)
    return answer.status_code, answer.text


def names_in(text: str) -> set[str]:
    """Every text and key of a JSON document."""
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, (list, dict)):
            for key in value:
                walk(key)
            for inner in value.values() if isinstance(value, dict) else []:
                walk(inner)

    walk(json.loads(text))
    return found


def may(role: Role, method: str, path: str) -> bool:
    """Whether a role may call a path at all."""
    if path in DECIDED:
        return role == "admin"
    if method == "POST":
        return role in ("operator", "admin")
    return role in ("auditor", "admin") if path in FOR_AUDITORS else True


def hides_stranger(limit: str, part: Part) -> bool:
    """Whether a limit leaves a stranger out: by the topic's province; it has no agency."""
    return not (limit == "all" or LIMITS[limit] == {"provinces": [part.province]})


def refused(path: str) -> int:
    """How a question about what is not in sight is answered."""
    if path in REPORTS:
        return 403
    return 404 if "{" in path else 422


def foreign_to(limit: str) -> Iterable[Part]:
    """The halves that a limit leaves out."""
    seen = {"all": {OFFICE.province, CLINIC.province}, "nothing": set()}
    usual = {CLINIC.province} if limit.startswith("other") else {OFFICE.province}
    return [part for part in (OFFICE, CLINIC) if part.province not in seen.get(limit, usual)]


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("role", ROLES)
def test_every_route_with_every_role_own_and_foreign(
    country: World, operations: list[tuple[str, str]], role: Role, limit: str
) -> None:
    """Own is answered; foreign is not there; what is of the country is for who may see it all."""
    asked = set()
    hidden = foreign_to(limit)
    secret = {name for part in hidden for name in part.names}
    for part in (OFFICE, CLINIC):
        if hides_stranger(limit, part):
            secret |= {part.stranger, topic_of(part)}
    with country.calling(country.key(role, **LIMITS[limit])) as client:
        for (method, path), part in product(operations, (OFFICE, CLINIC)):
            status, text = ask(client, method, path, part)
            asked.add((method, path))
            where = f"{method} {path} of {part.province} as {role} of {limit}: {status} {text}"
            names_a_part = "{" in path or path in QUERIES or (method, path) == PROPOSING
            is_hidden = hides_stranger(limit, part) if "/enrolment/" in path else part in hidden
            if path in STATUS:
                assert status in (200, 429), where
            elif path in PUBLIC | THE_SAME_FOR_ALL:
                assert status == 200, where
            elif not may(role, method, path) or (path in OF_THE_COUNTRY and limit != "all"):
                assert status == 403, where
            elif names_a_part and is_hidden:
                assert status == refused(path), where
            else:
                assert status in (200, 409) or path.endswith("/accept"), where
                assert path in ("/metrics", STREAM) or not names_in(text) & secret, where
    assert asked == set(operations)


def test_every_route_without_a_valid_key(
    country: World, operations: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key, or one that is over, revoked or unknown: nothing but what is public."""
    monkeypatch.setattr("api.rights.FAILURES_PER_MINUTE", 10**9)
    expired = country.key(days=0)
    revoked = country.key()
    revoke_key(country.ledger, revoked.split("_")[1], now_ms=NOW_MS, by="test")
    for key in ("", expired, revoked, f"gvs_00000000_{'x' * 43}", "x.y.z"):
        with country.calling(key) as client:
            for method, path in operations:
                status, text = ask(client, method, path, OFFICE)
                allowed = (200, 429) if path in PUBLIC else (401,)
                assert status in allowed, (method, path, key)
                if status == 401 and path != STREAM:
                    assert not names_in(text) & OFFICE.names
            assert client.get("/nothing/there").status_code == 401


@pytest.mark.parametrize("limit", LIMITS)
def test_the_stream_holds_what_is_in_sight(country: World, limit: str) -> None:
    """All that happened to own sites, and no name of another one."""
    with country.calling(country.key("viewer", **LIMITS[limit])) as client:
        text = _stream_until_quiet(client)
    said = [json.loads(line) for line in re.findall(r"^data: (.*?)\r?$", text, re.MULTILINE)]
    names = set().union(*(names_in(json.dumps(one)) for one in said))
    hidden = foreign_to(limit)
    for part in (OFFICE, CLINIC):
        own = {part.places["device"], part.places["alert"], part.places["incident"]}
        assert names & part.names == set() if part in hidden else own <= names


def _stream_until_quiet(client: httpx.Client) -> str:
    """What the stream holds from its beginning, until nothing comes for a second."""
    client.timeout = httpx.Timeout(1.0)
    text = ""
    with suppress(httpx.ReadTimeout), client.stream("GET", f"{STREAM}?after=0") as answer:
        for piece in answer.iter_text():
            text += piece
    return text


def test_a_limited_caller_gets_full_pages(world: World) -> None:
    """Lists are filtered before they are cut into pages, and cursors lead through all of them."""
    with world.calling(world.key("viewer", provinces=["LA-VT"])) as client:
        first = client.get(f"{V1}/devices", params={"limit": 2}).json()
        assert [item["device"] for item in first["items"]] == ["c0", "n1"]
        rest = client.get(f"{V1}/devices", params={"limit": 2, "cursor": first["next"]}).json()
        assert [item["device"] for item in rest["items"]] == ["old"]
        (province,) = client.get(f"{V1}/provinces").json()["items"]
        assert (province["province"], province["sites"], province["open_alerts"]) == ("LA-VT", 1, 1)
        assert client.get(f"{V1}/accounting").json()["devices"] == 3


def test_a_part_of_an_incident_is_without_what_speaks_of_the_rest(country: World) -> None:
    """Its sites and devices are one's own; evidence and a foreign site's id are left out."""
    with country.calling(country.key("viewer", agencies=["Interior"])) as client:
        part = client.get(f"{V1}/incidents/i2").json()
        assert (part["sites"], part["devices"], part["evidence"]) == (["office"], ["p0"], [])
        assert part["scope"] == {"type": "site", "id": ""}
        assert all(change["sites"] == ["office"] for change in part["changes"])
        assert client.get(f"{V1}/incidents/i3").json()["evidence"]


def test_reports_are_asked_for_within_the_limit(world: World) -> None:
    """With all that a key is limited by, or a site of theirs; nothing beside it, nothing twice."""
    key = world.key("viewer", provinces=["LA-LP"], agencies=["Interior"])
    place = f"{V1}/reports/connectivity?"
    with world.calling(key) as client:
        for query, status in {
            "": 403,
            "province=LA-LP": 403,
            "agency=Interior": 403,
            "province=LA-LP&agency=Interior": 200,
            "province=LA-LP&agency=Health": 403,
            "province=LA-VT&province=LA-LP&agency=Interior": 422,
            "province=LA-LP&province=LA-VT&agency=Interior": 422,
            "site=office": 200,
            "site=clinic": 404,
            "site=office&site=clinic": 422,
            "site=clinic&province=LA-LP&agency=Interior": 404,
            "provider=LTC": 403,
            "district=luangprabang": 403,
        }.items():
            answer = client.get(place + query)
            assert answer.status_code == status, (query, answer.text)
            assert "clinic" not in answer.text or status != 200


def test_an_incident_of_more_than_one_sees_is_not_closed(country: World) -> None:
    """It would be put away for everybody; a comment of theirs is welcome."""
    with country.calling(country.key("operator", provinces=["LA-LP"])) as client:
        path = f"{V1}/incidents/i1"
        answer = client.post(f"{path}/close", json=BODIES["close"])
        assert (answer.status_code, "your key does not see" in answer.text) == (403, True)
        assert client.post(f"{path}/comments", json={"text": "x"}).status_code == 200


def test_every_route_of_the_application_has_its_rule(country: World, tmp_path: Path) -> None:
    """Also those that the document does not show; a new one without a rule does not start."""
    app = create_app(
        ledger=country.ledger, series=country.series, now_ms=lambda: 0, allowed_hosts="localhost"
    )
    found = set()
    for route in app.routes:
        if isinstance(route, Route):
            found |= {(method, route.path) for method in route.methods or ()}
            continue
        prefix = route.include_context.prefix  # type: ignore[attr-defined]
        for inner in route.original_router.routes:  # type: ignore[attr-defined]
            found |= {(method, prefix + inner.path) for method in inner.methods}
    assert found == set(RULES)

    def new() -> None:
        """Something that somebody adds."""

    with pytest.raises(RuleError, match="GET /new has no rule"):
        Rules([("", Route("/new", new))])
    with pytest.raises(RuleError, match="without a route"):
        Rules([])


def test_the_document_says_who_may(country: World) -> None:
    """Schemes, roles, and the problems of rights are in the OpenAPI."""
    document = country.get("/openapi.json")
    assert set(document["components"]["securitySchemes"]) == {"bearer", "key"}
    for path, methods in document["paths"].items():
        for operation in methods.values():
            is_public = path in PUBLIC
            assert ("security" not in operation) == is_public
            assert is_public or {"401", "403", "429"} <= set(operation["responses"])
            assert is_public or "Role: " in operation["description"]
