"""/reports over HTTP: the formats, the revisions, the roll-out, and what may not be asked."""

from __future__ import annotations

import pytest

from detection.outages import BIN_MS, Bin
from reports.as_html import style
from reports.calendars import read_working_hours
from reports.periods import iso, parse_iso
from reports.rules import Rules
from reports.verifying import verify
from storage.ledger.facts import Facts, commit
from storage.ledger.speed_tests import SpeedTest
from tests.api.world import HOUR_MS, NOW_MS, Somebody, World

AN_HOUR = {"from": "2026-10-05T01:00:00Z", "to": "2026-10-05T02:00:00Z"}
RULES = Rules(read_working_hours())
MARKUP = "<script>alert(1)</script>"


def test_the_last_hour(world: World) -> None:
    """Provisional: the figures are those of the site's own availability."""
    report = world.get("/reports/connectivity", **AN_HOUR)
    assert (report["status"], report["revision"]) == ("provisional", 0)
    assert report["total"]["minutes"] == {
        "up": 35, "degraded": 5, "down": 10, "unknown": 5, "excluded": 5, "on_backup": 0,
        "not_started": 0,
    }  # fmt: skip
    site = world.get("/sites/office/availability", **AN_HOUR)
    for name in ("availability", "lower", "upper", "coverage", "mttr_minutes"):
        assert report["total"][name] == pytest.approx(site[name], abs=1e-6)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"format": "csv"},
        {"format": "csv", "bom": "true"},
        {"format": "html"},
        {"format": "html", "lang": "lo"},
    ],
)
def test_what_is_answered_verifies(world: World, query: dict[str, str]) -> None:
    """In every format, byte for byte."""
    answer = world.client.get("/api/v1/reports/connectivity", params={**AN_HOUR, **query})
    assert answer.status_code == 200
    assert verify(answer.content, world.ledger, RULES) == []
    assert answer.content.startswith(b"\xef\xbb\xbf") == ("bom" in query)


def test_a_page_runs_nothing(world: World) -> None:
    """Its policy allows its own style by digest and nothing else; it says its language."""
    asked = {**AN_HOUR, "format": "html", "lang": "lo"}
    answer = world.client.get("/api/v1/reports/connectivity", params=asked)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "script" not in policy
    text = answer.text
    assert '<html lang="lo">' in text
    assert "<script" not in text
    assert "style=" not in text
    assert style() in text
    assert "ບົດລາຍງານການເຊື່ອມຕໍ່" in text


def test_what_is_asked_does_not_break_out(world: World) -> None:
    """An agency with markup is text."""
    asked = {**AN_HOUR, "format": "html", "agency": MARKUP}
    text = world.client.get("/api/v1/reports/connectivity", params=asked).text
    assert MARKUP not in text
    assert "&lt;script&gt;" in text


def test_final_with_revisions(own_world: World) -> None:
    """The month is kept when it is read; late bins make the next revision; both can be had."""
    own_world.now_ms = parse_iso("2026-11-05T00:00:00.000Z")
    october = {"period": "2026-10", "province": "LA-LP"}
    first = own_world.get("/reports/connectivity", **october)
    assert (first["status"], first["revision"]) == ("final", 1)
    assert own_world.get("/reports/connectivity", province="LA-LP") == first  # the last month
    late = [Bin("office", NOW_MS - HOUR_MS + 4 * BIN_MS, "UP", False, 2)]
    commit(own_world.ledger, Facts(250, bins=late), now_ms=own_world.now_ms)
    second = own_world.get("/reports/connectivity", **october)
    assert second["revision"] == 2
    assert second["total"]["minutes"]["up"] == first["total"]["minutes"]["up"] + 5
    assert own_world.get("/reports/connectivity", **october, revision=1) == first
    kept = own_world.items("/reports/connectivity/revisions", **october, limit=1)
    assert [(one["revision"], one["digest"]) for one in kept] == [
        (1, first["digest"]),
        (2, second["digest"]),
    ]
    own_world.problem(404, "/reports/connectivity", **october, revision=3)


def test_the_roll_out(own_world: World) -> None:
    """What is unknown is counted, and stands in no share."""
    tests = [
        SpeedTest("p0", NOW_MS - n * HOUR_MS, 60.0, 20.0 if n % 2 else 30.0, 12.0, 10.0, 10.0)
        for n in range(1, 12)
    ]
    asked = {"from": "2026-10-04T00:00:00Z", "to": "2026-10-06T00:00:00Z"}
    commit(own_world.ledger, Facts(250, speed_tests=tests[:9]), now_ms=NOW_MS)
    total = own_world.get("/reports/rollout", **asked)["total"]
    assert (total["sites"], total["unknown"], total["share"]) == (2, 2, None)
    commit(own_world.ledger, Facts(251, speed_tests=tests), now_ms=NOW_MS)
    found = own_world.get("/reports/rollout", **asked)
    total = found["total"]
    assert (total["meets"], total["misses"], total["unknown"], total["share"]) == (0, 1, 1, 0.0)
    office = next(one for one in found["sites"] if one["site"] == "office")
    assert office["meets"] is False  # half of the uploads are at 20 of 25 Mbit/s
    assert office["services"] == {"web": True, "video-meeting": False, "backup": False}
    assert found["total"]["services"]["web"] == {
        "can": 1, "cannot": 0, "unknown": 1, "share": 1.0,
    }  # fmt: skip
    assert [row["agency"] for row in found["agencies_by_province"]] == ["Health", "Interior"]
    faster = [one._replace(up_mbps=25.0) for one in tests]
    commit(own_world.ledger, Facts(252, speed_tests=faster), now_ms=NOW_MS)
    assert own_world.get("/reports/rollout", **asked)["total"]["meets"] == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"period": "2026-13"}, "period"),
        ({"period": "2026-10", **AN_HOUR}, "period"),
        ({"from": AN_HOUR["from"]}, "to"),
        ({"from": AN_HOUR["from"], "to": "2026-10-05T02:00:01Z"}, "to"),
        ({"from": "2020-10-05T02:00:00Z", "to": "2026-10-05T02:00:00Z"}, "to"),
        ({"calendar": "always"}, "calendar"),
        ({"province": "LA-XX"}, "province"),
    ],
)
def test_what_may_not_be_asked(world: World, query: dict[str, str], field: str) -> None:
    """Says which parameter, and what it may be."""
    for path in ("/reports/connectivity", "/reports/connectivity/revisions"):
        (error,) = world.problem(422, path, **query)["errors"]
        assert error["field"] == field
        assert error["allowed"]


def test_a_site_that_is_not_there(world: World) -> None:
    """Is a 404."""
    world.problem(404, "/reports/connectivity", site="nowhere")
    world.problem(404, "/reports/rollout", site="nowhere")


def test_planned_work_is_told_with_its_reason(own_world: World) -> None:
    """A window is made, ingest leaves its bins out, and the report of who may see them says why."""
    boss = Somebody("Boss", "admin")
    own_world.become(boss)
    start = parse_iso(f"{AN_HOUR['from'][:-1]}.000Z")
    asked = {"scope": {"type": "site", "id": "office"}, "start": iso(start), "end": iso(NOW_MS)}
    made = own_world.done("/windows", {"kind": "maintenance", "reason": "Mast.", **asked})
    bins = [Bin("office", start + n * BIN_MS, "EXCLUDED", False, 2, made["window"]) for n in (2, 3)]
    commit(own_world.ledger, Facts(250, bins=bins), now_ms=NOW_MS)
    report = own_world.get("/reports/connectivity", **AN_HOUR)
    assert report["total"]["minutes"]["excluded"] == 15
    assert report["total"]["excluded_by_reason"] == {"Mast.": 10, "not stated": 5}
    (told,) = report["planned_work"]
    assert (told["window"], told["scope"], told["minutes"], told["late"]) == (
        made["window"], asked["scope"], 10, True,
    )  # fmt: skip
    for query, said in (
        ({"format": "csv"}, "Mast.: 10; not stated: 5"),
        ({"format": "html"}, "Mast. (maintenance, announced late)"),
        ({"format": "html", "lang": "lo"}, "Mast. (ບຳລຸງຮັກສາ, ແຈ້ງຊ້າ)"),
    ):
        answer = own_world.client.get("/api/v1/reports/connectivity", params={**AN_HOUR, **query})
        assert said in answer.text
        assert verify(answer.content, own_world.ledger, RULES) == []
    own_world.become(Somebody("Keo", "viewer", provinces=("LA-LP",)))
    part = own_world.get("/reports/connectivity", **AN_HOUR, province="LA-LP")
    assert [one["reason"] for one in part["planned_work"]] == ["Mast."]
    own_world.become(Somebody("Noy", "viewer", provinces=("LA-VT",)))
    other = own_world.get("/reports/connectivity", **AN_HOUR, province="LA-VT")
    assert other["planned_work"] == []
    assert "Mast." not in str(other)
