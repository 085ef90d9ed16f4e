"""Logging in, being refused, being counted, and what the audit keeps of it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.callers import ROLES
from api.limits import Limits, limits_by_role
from storage.ledger.audit import AuditRow, list_audit, verify
from storage.ledger.events import Event, add_events
from storage.ledger.keys import DAY_MS, find_key, revoke_key
from tests.api.world import NOW_MS, UNLIMITED, World, problem_of, serving

ME = "/api/v1/me"
WRONG = f"gvs_0badc0de_{'x' * 43}"


def ask(world: World, path: str = ME, **headers: str) -> httpx.Response:
    """A GET with these headers and no others of ours."""
    return httpx.get(f"{world.client.base_url}{path}", headers=headers, trust_env=False)


def audited(world: World, *what: str) -> list[AuditRow]:
    """The rows of the audit of these kinds, the oldest first."""
    return [row for row in list_audit(world.ledger, limit=1000)[::-1] if row.what in what]


@pytest.mark.parametrize("form", ["Authorization: Bearer", "authorization: bearer", "X-API-Key:"])
def test_a_key_is_taken_from_either_header(world: World, form: str) -> None:
    """In either form; the answer says who one is and what one may."""
    key = world.key("viewer", name="Portal", agencies=["Health", "Interior"])
    name, _, scheme = form.partition(":")
    me = ask(world, **{name: f"{scheme} {key}".strip()}).json()
    assert me["name"] == "Portal"
    assert (me["role"], me["provinces"], me["agencies"]) == ("viewer", None, ["Health", "Interior"])
    assert me["stored_rows"] == 200_000


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {WRONG}"},
        {"X-API-Key": "gvs_"},
        {"X-API-Key": "\xff"},
        {"Authorization": f"Bearer {WRONG}", "X-API-Key": WRONG},
    ],
)
def test_who_does_not_log_in_is_told_how(world: World, headers: dict[str, str]) -> None:
    """401 with the scheme and a sentence that says what to do."""
    raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    answer = httpx.get(f"{world.client.base_url}{ME}", headers=raw, trust_env=False)
    assert "govsense keys create" in problem_of(answer, 401)["detail"]
    assert answer.headers["www-authenticate"].startswith('Bearer realm="govsense"')


def test_a_role_that_is_missing_is_named(world: World) -> None:
    """403 says which role it takes, and which one has."""
    with world.calling(world.key("viewer", name="Portal")) as client:
        detail = problem_of(client.get("/api/v1/audit"), 403)["detail"]
        assert detail == "this needs the role admin or auditor; Portal is viewer"


def test_a_key_in_the_address_is_no_key(world: World) -> None:
    """Addresses end up in logs."""
    for name in ("key", "api_key", "access_token"):
        assert ask(world, f"{ME}?{name}={world.key()}").status_code == 401


def test_a_key_ends_at_its_time_and_at_once_when_revoked(own_world: World) -> None:
    """By the machine's time, and without a restart."""
    key = own_world.key("viewer", days=2)
    with own_world.calling(key) as client:
        own_world.machine_ms = NOW_MS + 2 * DAY_MS - 1
        assert client.get(ME).status_code == 200
        own_world.machine_ms += 1
        assert "expired" in problem_of(client.get(ME), 401)["detail"]
        own_world.machine_ms = NOW_MS
        revoke_key(own_world.ledger, key.split("_")[1], now_ms=NOW_MS, by="test")
        assert "revoked" in problem_of(client.get(ME), 401)["detail"]


def test_the_last_use_of_a_key_is_kept(own_world: World) -> None:
    """So that who audits sees which keys nobody needs."""
    key = own_world.key("viewer")
    with own_world.calling(key) as client:
        client.get(ME)
    found = find_key(own_world.ledger, key)
    assert found is not None
    assert found.last_used_ms == NOW_MS


def test_failed_logins_are_audited_and_held_up(own_world: World) -> None:
    """Ten a minute of one address are kept, without the secret; a valid key still gets in."""
    refused = 0  # ten, and one more for every six seconds that this takes
    while (held_up := ask(own_world, authorization=f"Bearer {WRONG}")).status_code == 401:
        refused += 1
        assert refused < 100
    assert refused >= 10
    assert 0 < int(held_up.headers["retry-after"]) <= 60
    problem_of(held_up, 429)
    rows = audited(own_world, "login refused")
    assert len(rows) == refused
    assert rows[0].address == "127.0.0.1"
    assert (rows[0].name, rows[0].path, rows[0].status) == ("gvs_0badc0de_...", ME, 401)
    assert WRONG not in str(rows)
    assert own_world.client.get(ME).status_code == 200
    assert ask(own_world).status_code == 401  # no login at all is no failed one


def test_an_expired_key_is_audited_by_its_id(own_world: World) -> None:
    """The audit says whose key it was."""
    key = own_world.key("viewer", name="Portal", days=0)
    ask(own_world, authorization=f"Bearer {key}")
    (row,) = audited(own_world, "login refused")
    assert row.who.startswith("key-")
    assert (row.name, row.subject) == ("Portal", "this key is expired")


def test_every_write_is_audited_with_its_outcome(own_world: World) -> None:
    """Done, refused for its state, its role or its body: who, what, and the status."""
    path = "/api/v1/alerts/{}/acknowledge"
    body = {"by": "S", "comment": "seen"}
    client = own_world.client
    assert client.post(path.format("a001"), json=body).status_code == 200
    assert client.post(path.format("a001"), json={**body, "comment": "again"}).status_code == 409
    assert client.post(path.format("a002"), json={}).status_code == 422
    assert client.delete("/api/v1/alerts/%00").status_code == 405
    with own_world.calling(own_world.key("viewer")) as viewer:
        assert viewer.post(path.format("a002"), json=body).status_code == 403
    rows = audited(own_world, "write")
    assert [row.status for row in rows] == [200, 409, 422, 405, 403]
    assert [row.name for row in rows] == ["admin"] * 4 + ["viewer"]
    assert rows[0].path == path.format("a001")
    assert rows[3].path == "/api/v1/alerts/%00"
    assert verify(own_world.ledger).broken is None


def test_a_write_that_cannot_be_audited_is_not_confirmed(own_world: World) -> None:
    """The answer is a 503, whatever became of it."""
    with own_world.ledger.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE audit RENAME TO hidden")
    answer = own_world.client.post(
        "/api/v1/alerts/a001/acknowledge", json={"by": "S", "comment": "seen"}
    )
    problem_of(answer, 503)


def test_a_write_that_ends_in_a_fault_is_audited(
    own_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a status: nobody was told one by the route."""

    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("storage.ledger.handling.acknowledge", fail)
    answer = own_world.client.post(
        "/api/v1/alerts/a001/acknowledge", json={"by": "S", "comment": "seen"}
    )
    assert answer.status_code == 500
    (row,) = audited(own_world, "write")
    assert row.status is None


def test_a_long_range_is_audited_as_a_bulk_read(own_world: World) -> None:
    """With its question; a day or less is not."""
    path = "/api/v1/devices/p0/telemetry"
    for query in (
        "from=2026-10-01T00:00:00Z&bucket=1h",
        "from=2026-10-01T00:00:00Z&to=2026-10-02T00:00:00Z&bucket=1h",
        "from=2026-10-01T00:00:00Z&to=2026-10-02T00:00:00.001Z&bucket=1h",
        "from=never",
        "",
    ):
        own_world.client.get(f"{path}?{query}")
    rows = audited(own_world, "bulk read")
    assert [row.path for row in rows] == [
        f"{path}?from=2026-10-01T00:00:00Z&bucket=1h",
        f"{path}?from=2026-10-01T00:00:00Z&to=2026-10-02T00:00:00.001Z&bucket=1h",
    ]


def test_files_reports_and_the_readings_of_many_are_bulk_reads(own_world: World) -> None:
    """Whatever their range; what a dashboard asks every minute is none."""
    of = "device=p0,c0,n0,n1&metric=dns_ms"
    bulk = [
        "/telemetry?device=p0&format=csv",
        "/devices/p0/telemetry?format=parquet",
        "/telemetry/latest?province=LA-LP&format=csv",
        "/sites?format=csv",
        f"/telemetry?{of}&from=2026-10-04T19:00:00Z&to=2026-10-05T01:00:00.001Z&bucket=1h",
        "/reports/connectivity?period=2026-09&site=office",
        "/reports/connectivity?period=2026-09&site=office&format=html",
        "/reports/rollout?period=2026-09",
    ]
    usual = [
        f"/telemetry?{of}&from=2026-10-04T19:00:00Z&to=2026-10-05T01:00:00Z&bucket=1h",
        "/telemetry/latest?province=LA-LP",
        "/sites?format=geojson",
        "/reports/connectivity/revisions?period=2026-09",
    ]
    for path in usual + bulk:
        answer = own_world.client.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
    assert [row.path for row in audited(own_world, "bulk read")] == [f"/api/v1{p}" for p in bulk]
    with own_world.client.stream("GET", "/api/v1/telemetry", headers={"Accept": "text/csv"},
                                 params={"device": "p0"}) as answer:  # fmt: skip
        assert len(audited(own_world, "bulk read")) == len(bulk) + 1  # before its first byte
        answer.read()


def test_the_audit_can_be_read_in_pages(own_world: World) -> None:
    """By auditors and administrators, the newest first; what was read is the chain as it is."""
    ask(own_world, authorization=f"Bearer {WRONG}")
    with own_world.calling(own_world.key("auditor")) as client:
        first = client.get("/api/v1/audit", params={"limit": 2}).json()
        rest = client.get("/api/v1/audit", params={"limit": 2, "cursor": first["next"]}).json()
    rows = first["items"] + rest["items"]
    assert [row["id"] for row in rows] == list(range(rows[0]["id"], 0, -1))
    assert [row["what"] for row in rows] == ["key created", "login refused", "key created"]
    assert rows[0]["previous"] == rows[1]["hash"]


def test_a_stream_ends_when_its_key_does(own_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the next event: what happens later is not told to who may not know."""
    monkeypatch.setattr("api.routes.events.RENEW_S", -1.0)
    monkeypatch.setattr("api.renewals.SHARED_S", -1.0)
    key = own_world.key("viewer")
    with own_world.calling(key) as client, client.stream("GET", "/api/v1/events") as stream:
        assert stream.status_code == 200
        parts = stream.iter_text()
        assert next(parts) == ": listening\r\n\r\n"
        _say(own_world, "before")
        assert "before" in next(parts)
        revoke_key(own_world.ledger, key.split("_")[1], now_ms=NOW_MS, by="test")
        _say(own_world, "after")
        assert "after" not in "".join(parts)


def _say(world: World, text: str) -> None:
    with world.ledger.begin() as connection:
        add_events(connection, [Event(NOW_MS, "device", {"device": "p0", "state": text})])


def test_who_asks_too_often_waits(own_world: World) -> None:
    """Each key for itself; after the wait that is named it may ask again."""
    few = Limits(requests_per_minute=3)
    own_world.limits = {**dict.fromkeys(ROLES, UNLIMITED), "viewer": few}
    with serving(own_world):
        with own_world.calling(own_world.key("viewer")) as client:
            answers = [client.get(ME) for _ in range(5)]
            assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
            assert 0 < int(answers[-1].headers["retry-after"]) <= 20
            problem_of(answers[-1], 429)
            assert client.get("/api/v1/health").status_code == 200
        with own_world.calling(own_world.key("viewer")) as client:
            assert client.get(ME).status_code == 200


def test_pages_and_ranges_are_limited_by_role(own_world: World) -> None:
    """A larger page, or a finer range than the role may have, is refused with what is allowed."""
    small = Limits(requests_per_minute=10**9, page_items=50, stored_rows=100)
    own_world.limits = {**dict.fromkeys(ROLES, UNLIMITED), "viewer": small}
    with serving(own_world), own_world.calling(own_world.key("viewer")) as client:
        (error,) = problem_of(client.get("/api/v1/devices?limit=51"), 422)["errors"]
        assert (error["field"], error["allowed"]) == ("limit", "at most 50 for your role")
        for written in ("+1000", "1_000", "1000.0", " 1000", "0000000001000"):
            (error,) = problem_of(client.get("/api/v1/devices", params={"limit": written}), 422)[
                "errors"
            ]
            assert error["allowed"] == "at most 50 for your role"
        assert client.get("/api/v1/devices?limit=50").status_code == 200
        fine = "/api/v1/devices/p0/telemetry?from=2026-10-05T00:00:00Z&bucket=1m&metric=dns_ms"
        (error,) = problem_of(client.get(fine), 422)["errors"]
        assert error["allowed"].startswith("at most 100")
        assert own_world.client.get(fine).status_code == 200


@pytest.mark.parametrize("text", ["", "viewer=1", "viewer=x, operator=1, admin=1, auditor=1",
                                  "viewer=1, operator=1, admin=1, auditor=1, root=1",
                                  "viewer=-1, operator=1, admin=1, auditor=1"])  # fmt: skip
def test_limits_that_are_none_are_refused(text: str) -> None:
    """Every role has one, above 0."""
    with pytest.raises(ValueError, match=r"limits\.page_items"):
        limits_by_role(page_items=text)


def preflight(world: World, origin: str) -> httpx.Response:
    """The question of a browser whether a page of an origin may ask."""
    headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
    return httpx.options(f"{world.client.base_url}{ME}", headers=headers, trust_env=False)


def test_pages_elsewhere_are_kept_out_unless_they_are_named(own_world: World) -> None:
    """No origin may read until the settings say so, then that one only, and without cookies."""
    shared = "access-control-allow-origin"
    assert shared not in preflight(own_world, "https://portal.gov.la").headers
    assert shared not in own_world.client.get(ME, headers={"Origin": "https://x.la"}).headers
    own_world.allowed_origins = "https://portal.gov.la"
    with serving(own_world):
        answer = preflight(own_world, "https://portal.gov.la")
        assert answer.status_code == 204
        assert answer.headers[shared] == "https://portal.gov.la"
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        assert "content-security-policy" in answer.headers
        for origin in ("https://portal.gov.la.example.org", "http://portal.gov.la", "null"):
            assert shared not in preflight(own_world, origin).headers
        theirs = {"Origin": "https://portal.gov.la", "Sec-Fetch-Site": "cross-site"}
        answer = own_world.client.get(ME, headers=theirs)
        assert answer.headers[shared] == "https://portal.gov.la"
        assert answer.headers["vary"] == "Origin"
        path, body = "/api/v1/alerts/a001/acknowledge", {"by": "S", "comment": "seen"}
        assert own_world.client.post(path, json=body, headers=theirs).status_code == 200
        other = {**theirs, "Origin": "https://x.la"}
        assert own_world.client.post(path, json=body, headers=other).status_code == 403


def test_the_policy_of_the_page_is_strict(world: World) -> None:
    """Own files only: nothing inline, no eval, no frames, no forms that go anywhere."""
    policy = dict(
        part.strip().split(" ", 1)
        for part in world.client.get("/").headers["content-security-policy"].split(";")
    )
    closed: dict[str, Any] = dict.fromkeys(
        ("default-src", "base-uri", "form-action", "frame-ancestors"), "'none'"
    )
    own = dict.fromkeys(("script-src", "style-src", "img-src", "connect-src"), "'self'")
    assert policy == closed | own
