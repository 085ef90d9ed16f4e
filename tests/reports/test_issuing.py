"""A report is provisional, then final; late data makes a new revision and leaves the old one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reports.canonical import canonical, digest_of
from reports.issuing import Asked, loaded, report_now, revision_of
from reports.periods import DAY_MS, Period, iso
from storage.ledger.bins import trim_bins
from storage.ledger.migrations import Ledger
from storage.ledger.report_data import Within, revisions
from storage.ledger.speed_tests import SpeedTest
from tests.reports.world import DAYS, END, FINAL, MONTH, RULES, START, asked, put, put_tests

MONTH_MINUTES = DAYS * 1440


def report(ledger: Ledger, question: Asked, now_ms: int = FINAL) -> dict[str, Any]:
    """A report as a tree."""
    return loaded(report_now(ledger, question, RULES, now_ms))


def of(document: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """The figures of one group."""
    (found,) = (one for one in document[kind] if one["id"] == name)
    assert isinstance(found, dict)
    return found


def test_minutes_are_added_and_divided_once(ledger: Ledger) -> None:
    """Sites, provinces and the country, by hand."""
    document = report(ledger, asked())
    a, b, c = document["sites"]
    assert [one["id"] for one in (a, b, c)] == ["a", "b", "c"]  # the ghost has no bins
    assert a["minutes"] == {
        "up": MONTH_MINUTES - 60,
        "degraded": 0,
        "down": 60,
        "unknown": 0,
        "excluded": 0,
        "on_backup": 120,
        "not_started": 0,
    }
    assert a["availability"] == round((MONTH_MINUTES - 60) / MONTH_MINUTES, 6)
    assert (a["mttr_minutes"], a["outages"], a["coverage"]) == (60.0, 1, 1.0)
    assert b["minutes"]["not_started"] == 15 * 1440
    assert b["quality_ok"] == round(286 / (286 + 14 * 288), 6)
    assert (c["minutes"]["unknown"], c["minutes"]["excluded"]) == (600, 30)
    assert c["excluded_by_reason"] == {"not stated": 30}
    assert c["excluded_share"] == round(30 / MONTH_MINUTES, 6)
    assert c["upper"] == 1.0
    assert c["lower"] == round((MONTH_MINUTES - 630) / (MONTH_MINUTES - 30), 6)
    province = of(document, "provinces", "LA-LP")
    reachable = MONTH_MINUTES - 60 + 15 * 1440 - 10
    assert province["availability"] == round(reachable / (reachable + 70), 6)
    assert (province["saifi"], province["saidi_minutes"]) == (1.0, 35.0)
    total = document["total"]
    for name in total["minutes"]:
        assert total["minutes"][name] == sum(one["minutes"][name] for one in (a, b, c))
        assert total["minutes"][name] == sum(one["minutes"][name] for one in document["agencies"])
    assert [one["site"] for one in document["worst_sites"]] == ["a", "b"]
    assert document["outages"]["longest"][0] == {
        "site": "a",
        "start": iso(START + 10 * 3_600_000),
        "end": iso(START + 11 * 3_600_000),
        "minutes": 60,
        "open": False,
    }


def test_speeds_by_link_and_contract(ledger: Ledger) -> None:
    """A second uplink counts for its own provider and contract, and for its site."""
    document = report(ledger, asked())
    assert of(document, "sites", "a")["speed"] == {
        "tests": 12, "judged": 12, "met": 12, "enough": True, "share": 1.0,
        "down_p50_mbps": 45.0, "up_p50_mbps": 22.0, "rtt_p50_ms": 12.0, "loss_pct": 0.0,
    }  # fmt: skip
    b = of(document, "sites", "b")["speed"]
    assert (b["tests"], b["met"], b["share"]) == (24, 0, 0.0)
    assert of(document, "providers", "ETL")["speed"]["tests"] == 12
    assert of(document, "providers", "LTC")["speed"]["tests"] == 36
    assert of(document, "providers", "LTC")["speed"]["share"] == round(2 / 3, 6)
    day = period_of_a_day()
    few = report(ledger, replace(asked(), period=day), now_ms=FINAL)["total"]["speed"]
    assert (few["tests"], few["enough"], few["share"]) == (2, False, None)


def period_of_a_day() -> Period:
    """The first of the month."""
    return Period("2026-09-01", START, START + 86_400_000)


def test_working_hours(ledger: Ledger) -> None:
    """22 days of 7 hours; the hour at 10:00 counts, the end of the 16th at midnight does not."""
    document = report(ledger, asked("working-hours"))
    a, b, _ = document["sites"]
    assert sum(a["minutes"].values()) - a["minutes"]["on_backup"] == 22 * 420
    assert (a["minutes"]["down"], b["minutes"]["down"], b["outages"]) == (60, 0, 0)
    assert a["speed"]["tests"] == 9  # of 12 days three are of a weekend
    assert document["calendar"]["minutes_so_far"] == 22 * 420
    assert document["calendar"]["days_off"] == []


@pytest.mark.parametrize(
    ("within", "names"),
    [
        ({"province": "LA-LP"}, ["a", "b"]),
        ({"agency": "Health"}, ["a", "c"]),
        ({"provider": "ETL"}, ["b"]),
        ({"province": "LA-LP", "agency": "Health"}, ["a"]),
        ({"district": "chanthabuly", "province": "LA-VT"}, ["c"]),
        ({"site": "b"}, ["b"]),
        ({"agency": "nobody"}, []),
    ],
)
def test_scopes(month: Ledger, within: dict[str, str], names: list[str]) -> None:
    """A report is about the sites that are all of what is asked."""
    document = report(month, Asked(Within(**within), MONTH, "24x7"))
    assert [one["id"] for one in document["sites"]] == names
    assert document["scope"] == within
    assert document["total"]["sites"] == len(names)


def test_provisional_until_settled_then_final(ledger: Ledger) -> None:
    """Nothing provisional is kept; a final one is issued once, whoever reads it."""
    question = asked()
    before = report(ledger, question, END + RULES.settling_ms - 1)
    assert (before["status"], before["revision"]) == ("provisional", 0)
    assert revisions(ledger, question.key, limit=9) == []
    text = report_now(ledger, question, RULES, FINAL)
    first = loaded(text)
    assert (first["status"], first["revision"], first["as_of"]) == ("final", 1, iso(FINAL))
    assert report_now(ledger, question, RULES, FINAL + 10**9) == text
    assert revisions(ledger, question.key, limit=9) == [(1, FINAL, first["digest"])]


def test_late_data_makes_a_revision(ledger: Ledger) -> None:
    """Of the reports that it touches, and the old ones stay as they were issued."""
    text = report_now(ledger, asked(), RULES, FINAL)
    other = report_now(ledger, asked(province="LA-LP"), RULES, FINAL)
    put(ledger, "c", 1000, "D" * 120, revision=2)
    second = report(ledger, asked(), FINAL + 1)
    assert (second["revision"], second["as_of"]) == (2, iso(FINAL + 1))
    assert second["total"]["minutes"]["down"] == loaded(text)["total"]["minutes"]["down"] + 600
    assert revision_of(ledger, asked(), 1) == text
    assert revision_of(ledger, asked(), 3) is None
    assert report_now(ledger, asked(province="LA-LP"), RULES, FINAL + 1) == other
    put_tests(ledger, [SpeedTest("p-a", START, 1.0, 1.0)])
    assert report(ledger, asked(), FINAL + 2)["revision"] == 3
    assert [row[0] for row in revisions(ledger, asked().key, after=1, limit=1)] == [2]


def test_what_comes_after_the_period_changes_nothing(ledger: Ledger) -> None:
    """Bins, tests and sites of later months."""
    text = report_now(ledger, asked(), RULES, FINAL)
    put(ledger, "a", DAYS * 288, "D" * 500)
    put(ledger, "ghost", DAYS * 288, "U" * 10)
    put_tests(ledger, [SpeedTest("p-a", END, 1.0, 1.0)])
    assert report_now(ledger, asked(), RULES, FINAL + 1) == text


def test_what_is_still_to_come_is_not_unknown(ledger: Ledger) -> None:
    """A report of a running month ends with the newest bin of the country."""
    question = Asked(Within(), Period("", START, END + 10 * 86_400_000), "24x7")
    document = report(ledger, question, END + 1000)
    assert document["data_until"] == iso(END)
    assert document["total"]["minutes"]["unknown"] == 600
    put(ledger, "c", DAYS * 288 + 2, "U")  # a and b say nothing, c was away for two bins
    document = report(ledger, question, END + 1000)
    assert document["total"]["minutes"]["unknown"] == 600 + 15 + 15 + 10


def test_what_was_issued_outlives_its_bins(ledger: Ledger) -> None:
    """A report of bins that are deleted one after the other is no revision."""
    text = report_now(ledger, asked(), RULES, FINAL)
    later_ms = START + (RULES.kept_days + 1) * DAY_MS
    while trim_bins(ledger, START + 401 * DAY_MS, keep_days=400):
        pass
    assert report_now(ledger, asked(), RULES, later_ms) == text
    assert len(revisions(ledger, asked().key, limit=9)) == 1


def test_the_digest_is_of_the_canonical_text(month: Ledger) -> None:
    """And anybody can compute it."""
    text = report_now(month, asked(), RULES, FINAL)
    document = loaded(text)
    assert canonical(document) == text
    digest = document.pop("digest")
    assert digest_of(document) == digest


def test_canonical_text() -> None:
    """One form for each value."""
    value = {"b": [1, True, None, 0.1 + 0.2], "a": 'ລາວ "x"\n', "c": {}, "d": 5e-05}
    assert canonical(value) == (
        '{"a":"ລາວ \\"x\\"\\n","b":[1,true,null,0.300000],"c":{},"d":0.000050}'
    )


def test_an_empty_ledger(month: Ledger) -> None:
    """A period without anything has no figures, and no zeros for them."""
    document = report(month, Asked(Within(), Period("", 0, 86_400_000), "24x7"))
    assert document["total"]["sites"] == 0
    assert document["total"]["availability"] is None
    assert document["period"]["name"] == ""
    assert MONTH.name == "2026-09"
