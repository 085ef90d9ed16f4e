"""Problems, and who may call."""

from __future__ import annotations

import socket
import sqlite3
from pathlib import Path

import httpx
import pytest

from api.protection import host_names
from tests.api.world import World, problem_of


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("/devices?limt=5", "did you mean limit?"),
        ("/alerts?sevrity=info", "did you mean severity?"),
        ("/devices/p0/telemetry?buckets=5m", "did you mean bucket?"),
        ("/health?x=1", "no query parameter"),
        ("/kinds?a=1", "no query parameter"),
    ],
)
def test_an_unknown_parameter_is_an_error(world: World, path: str, near: str) -> None:
    """A misspelt filter is never ignored; the nearest one is named."""
    (error,) = problem_of(world.client.get(f"/api/v1{path}"), 422)["errors"]
    assert near in f"{error['reason']} {error['allowed']}"


def test_a_parameter_given_twice_is_an_error(world: World) -> None:
    """Which of the two was meant is unknown, unless the parameter is a list."""
    problem_of(world.client.get("/api/v1/devices?kind=solar&kind=power"), 422)
    world.get("/devices/p0/telemetry", metric=["dns_ms", "nat_rtt_p50_ms"])


@pytest.mark.parametrize(
    ("parameter", "got", "near"),
    [
        ("province", "LA-LPP", "LA-LP"),
        ("kind", "connectivty-probe", "connectivity-probe"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    world: World, parameter: str, got: str, near: str
) -> None:
    """Provinces and kinds are checked against the tables."""
    problem = world.problem(422, "/devices", **{parameter: got})
    assert f"did you mean {near}?" in problem["errors"][0]["reason"]


def test_unknown_paths_and_methods_are_problems(world: World) -> None:
    """404 and 405 too, with the methods that there are."""
    world.problem(404, "/nothing")
    world.problem(404, "/devices/")
    wrong = world.client.delete("/api/v1/devices")
    problem_of(wrong, 405)
    assert wrong.headers["allow"] == "GET"
    problem_of(world.client.get("/api/v1/alerts/a001/acknowledge"), 405)
    both = world.client.put("/api/v1/windows")
    problem_of(both, 405)
    assert both.headers["allow"] == "GET, POST"
    problem_of(world.client.post("/api/v1/devices", content=b"x"), 405)  # and no 415


def test_a_public_path_says_without_a_key_what_it_does_not_take(world: World) -> None:
    """Others ask for the key first."""
    with world.calling("") as nobody:
        problem_of(nobody.post("/api/v1/health", content=b"x"), 405)
        problem_of(nobody.put("/api/v1/windows"), 401)
        problem_of(nobody.get("/nothing"), 401)


def test_bytes_that_are_no_text_are_a_400(world: World) -> None:
    """With what is wrong and what may be."""
    json_type = {"content-type": "application/json"}
    path = "/api/v1/alerts/a001/comments"
    answer = world.client.post(path, content=b"\xff", headers=json_type)
    (error,) = problem_of(answer, 400)["errors"]
    assert (error["field"], error["allowed"]) == ("body", "JSON in UTF-8")


def test_every_answer_carries_the_security_headers(world: World) -> None:
    """Pages, data, problems: nothing of others may run in or around them."""
    for path in ("/", "/page/page.js", "/api/v1/kinds", "/api/v1/nothing", "/metrics"):
        headers = world.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "host", ["example.org", "example.org:80", "127.0.0.1.example.org", "[::2]", "", "localhost:x"]
)
def test_a_foreign_host_name_is_not_answered(world: World, host: str) -> None:
    """A name that was pointed at us (DNS rebinding) gets no data."""
    answer = world.client.get("/api/v1/devices", headers={"host": host})
    assert problem_of(answer, 421)["errors"][0]["field"] == "Host"
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080"])
def test_our_own_names_are_answered(world: World, host: str) -> None:
    """With any port, in any case."""
    answer = world.client.get("/api/v1/health", headers={"host": host})
    assert answer.status_code == 200


def test_host_names_are_a_comma_separated_list() -> None:
    """As the setting http.allowed_hosts writes them."""
    assert host_names(" a.gov.la, B.gov.la,,[::1]") == {"a.gov.la", "b.gov.la", "[::1]"}


def raw(world: World, request: bytes) -> bytes:
    """What comes back for bytes on the wire."""
    url = httpx.URL(str(world.client.base_url))
    with socket.create_connection((url.host, url.port), timeout=5) as connection:
        connection.sendall(request)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "path",
    [b"/api/v1/devices/%00", b"/api/v1/devices/%ff%fe", b"/api/v1/sites/%ed%a0%80", b"/%2e%2e/x",
     b"/api/v1/alerts/%f0%9f%92%a5", b"/api/v1/quarantine/%31%00", b"//", b"/api/v1/kinds%0d%0a"],
)  # fmt: skip
def test_strange_paths_are_the_callers_fault(world: World, path: bytes) -> None:
    """Bytes that are no text in a path give a 4xx problem."""
    answer = raw(
        world, b"GET " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert answer.split()[1][:1] == b"4"
    assert b"application/problem+json" in answer


def test_a_request_without_a_host_is_not_answered(world: World) -> None:
    """HTTP/1.0 without a Host header could come from anywhere."""
    assert raw(world, b"GET /api/v1/devices HTTP/1.0\r\n\r\n").split()[1] == b"421"


def test_a_store_that_does_not_answer_is_a_503(own_world: World, tmp_path: Path) -> None:
    """The caller is told to come back, and /ready says which store it is."""
    with own_world.ledger.begin() as connection:
        connection.exec_driver_sql("DROP TABLE sites")
        connection.exec_driver_sql("DROP TABLE process_stats")
    answer = own_world.client.get("/api/v1/sites")
    problem_of(answer, 503)
    assert "retry-after" in answer.headers
    checks = {check["name"]: check for check in own_world.problem(503, "/ready")["checks"]}
    assert not checks["ledger"]["ok"]
    assert checks["series"]["ok"]
    with sqlite3.connect(tmp_path / "series.db") as other:
        other.execute("DROP TABLE raw")
    other.close()
    own_world.problem(503, "/devices/p0/telemetry")


def test_a_fault_of_ours_shows_nothing_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 500 is a problem as well, with the security headers and without the exception's text."""

    def fail(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("the secret")

    monkeypatch.setattr("api.routes.geography.province_counts", fail)
    answer = world.client.get("/api/v1/provinces")
    problem_of(answer, 500)
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers
