"""Signatures of a probe's round: names, pages, abroad, big packets, radio."""

from __future__ import annotations

import pytest

from detection.findings import Finding
from detection.rules_probe import RULES
from detection.texts import explain
from tests.detection.feed import Talk, steps

GOOD = {
    "nat_sent": 10.0,
    "nat_rcvd": 10.0,
    "nat_loss_pct": 0.0,
    "nat_rtt_p50_ms": 12.0,
    "int_rcvd": 10.0,
    "int_loss_pct": 0.0,
    "int_rtt_p50_ms": 50.0,
    "dns_ms": 20.0,
    "dns_rcode": 0.0,
    "tcp_ms": 13.0,
    "tls_ms": 30.0,
    "http_total_ms": 90.0,
    "http_status": 200.0,
    "content_ok": 1.0,
}
ABROAD_AWAY = {"int_rcvd": 0.0, "int_loss_pct": 100.0}
FAULTS: dict[str, tuple[tuple[str, ...], dict[str, float]]] = {
    "dns-failing": (("dns_ms", "tcp_ms", "tls_ms", "http_total_ms"), {"dns_rcode": 2.0}),
    "content-blocked": ((), {"http_status": 302.0, "content_ok": 0.0}),
    "page-error": ((), {"http_status": 503.0, "content_ok": 0.0}),
    "mtu-hole": (("tls_ms", "http_total_ms", "http_status", "content_ok"), {}),
    "international-down": (("int_rtt_p50_ms", "tls_ms", "http_total_ms"), ABROAD_AWAY),
    "rain-fade": ((), {"esno_db": 4.0, "nat_loss_pct": 20.0}),
    "radio-weak": ((), {"rsrp_dbm": -118.0, "nat_loss_pct": 10.0}),
}


def round_of(missing: tuple[str, ...], other: dict[str, float]) -> dict[str, float]:
    """A good round without some metrics and with others."""
    radio = {"esno_db": 12.0, "rsrp_dbm": -85.0, "sinr_db": 12.0}
    return {k: v for k, v in (GOOD | radio | other).items() if k not in missing}


def fired(found: list[Finding]) -> list[Finding]:
    """The findings of these rules that fired."""
    return [f for f in found if f.phase == "firing" and f.rule in RULES]


@pytest.mark.parametrize("rule", FAULTS)
def test_a_signature_fires_with_its_third_round(rule: str) -> None:
    """Two such rounds are bad luck, three the fault (of a server six); three good ones end it."""
    good, bad = round_of((), {}), round_of(*FAULTS[rule])
    enough = 6 if rule == "page-error" else 3
    probe = Talk("connectivity-probe")
    probe.say(20, **good)
    assert fired(probe.say(enough - 1, **bad) + probe.say(20, **good)) == []
    (alert,) = fired(probe.say(enough, **bad))
    assert (alert.rule, alert.nature) == (rule, "connectivity")
    assert alert.onset_ms == probe.at_ms - (enough - 1) * 60_000
    assert "{" not in explain(alert).en + explain(alert).lo
    assert steps(probe.say(2, **good), rule) == []
    assert steps(probe.say(1, **good), rule) == ["clear"]


@pytest.mark.parametrize(
    ("usual_db", "now_db", "fades"), [(13.0, 8.5, True), (13.0, 10.5, False), (8.5, 7.5, False)]
)
def test_a_dish_fades_below_what_is_usual_for_it(
    usual_db: float, now_db: float, fades: bool
) -> None:
    """Half of a good dish's signal is as much as all of a poor one's."""
    probe = Talk("connectivity-probe")
    probe.say(60, **round_of((), {"esno_db": usual_db}))
    rain = round_of((), {"esno_db": now_db, "nat_loss_pct": 20.0})
    assert [f.rule for f in fired(probe.say(3, **rain))] == ["rain-fade"] * fades


def test_a_dish_that_was_turned_fades_for_days_and_then_is_a_poor_one() -> None:
    """Rain is over in an hour; what is low for a week is what this dish has."""
    probe = Talk("connectivity-probe", interval_s=300)
    probe.say(60, **round_of((), {"esno_db": 13.0}))
    rain = round_of((), {"esno_db": 8.5, "nat_loss_pct": 20.0})
    assert fired(probe.say(288, **rain)) != []
    probe.say(20 * 288, **rain)
    assert fired(probe.say(288, **rain)) == []


def test_names_looked_up_in_some_rounds_only() -> None:
    """A probe that measures names and pages in every fifth round is not accused in the others."""
    short = {k: v for k, v in GOOD.items() if not k.startswith(("dns", "tls", "tcp", "http"))}
    del short["content_ok"]
    probe = Talk("connectivity-probe")
    found = []
    for _ in range(40):
        found += probe.say(1, **GOOD) + probe.say(4, **short)
    assert fired(found) == []


def test_missing_answers_count_where_they_are_usual() -> None:
    """A timeout leaves no value at all: lookups that stop coming are failures."""
    probe = Talk("connectivity-probe")
    probe.say(20, **GOOD)
    gone = {k: v for k, v in GOOD.items() if k not in ("dns_ms", "dns_rcode")}
    assert [f.rule for f in fired(probe.say(3, **gone))] == ["dns-failing"]


def test_a_dead_link_is_none_of_these() -> None:
    """Where not even the national tier answers, the link is away: others say that."""
    probe = Talk("connectivity-probe")
    probe.say(20, **GOOD)
    dead = {"nat_sent": 10.0, "nat_rcvd": 0.0, "nat_loss_pct": 100.0} | ABROAD_AWAY
    assert fired(probe.say(10, **dead)) == []


def test_a_server_error_is_not_a_block() -> None:
    """Status 503 without the known page is the server's trouble, 511 is a page to log in."""
    for status, rules in (
        (503.0, ["page-error"]),
        (404.0, ["page-error"]),
        (511.0, ["content-blocked"]),
    ):
        probe = Talk("connectivity-probe")
        probe.say(20, **GOOD)
        said = fired(probe.say(10, **(GOOD | {"http_status": status, "content_ok": 0.0})))
        assert [f.rule for f in said] == rules


def test_bad_radio_without_loss_is_silent() -> None:
    """A weak signal that loses nothing is no fault of the connection."""
    probe = Talk("connectivity-probe")
    assert fired(probe.say(50, **(GOOD | {"rsrp_dbm": -118.0}))) == []


STRONG, NOISY = {"rsrp_dbm": -87.0, "sinr_db": -4.0}, {"rsrp_dbm": -112.0, "sinr_db": -5.0}
FAINT = {"rsrp_dbm": -118.0, "sinr_db": 6.0}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (STRONG, STRONG, ("sinr_db", -4.0)),
        (NOISY, NOISY, ("sinr_db", -5.0)),
        (FAINT, FAINT, ("rsrp_dbm", -118.0)),
        (STRONG, FAINT, ("rsrp_dbm", -118.0)),
    ],
)
def test_a_weak_signal_is_told_by_what_is_worst_about_it(
    before: dict[str, float], now: dict[str, float], said: tuple[str, float]
) -> None:
    """Two rounds of one kind and a third: the alert is on what the third shows, until its end."""
    lossy = {"nat_loss_pct": 10.0}
    probe = Talk("connectivity-probe")
    probe.say(20, **round_of((), {}))
    found = probe.say(2, **round_of((), lossy | before)) + probe.say(1, **round_of((), lossy | now))
    (alert,) = fired(found)
    assert (alert.rule, alert.metric, alert.value) == ("radio-weak", *said)
    assert f"= {said[1]:g} d" in explain(alert).en
    found += probe.say(3, **round_of((), {}))
    steps_of = {(f.phase, f.metric) for f in found if f.rule == "radio-weak"}
    ended = {metric for phase, metric in steps_of if phase == "clear"}
    assert ended == {metric for phase, metric in steps_of if phase != "clear"}


def test_running_on_battery() -> None:
    """A probe without mains says so with its second round."""
    probe = Talk("connectivity-probe")
    probe.say(5, **(GOOD | {"power_mains": 1.0}))
    assert steps(probe.say(2, **(GOOD | {"power_mains": 0.0})), "on-battery") == [
        "pending",
        "firing",
    ]


def test_what_a_probe_does_not_measure_is_no_outage_abroad() -> None:
    """Of a tier that does not answer the packets sent are said; of this one nothing is."""
    probe = Talk("connectivity-probe")
    probe.say(20, **round_of((), {}))
    unsaid = tuple(name for name in GOOD if name.startswith("int"))
    assert fired(probe.say(20, **round_of(unsaid, {}))) == []


def test_a_modem_that_says_zero_does_not_know() -> None:
    """Nothing is lost, so that it is no rain."""
    probe = Talk("connectivity-probe")
    probe.say(60, **round_of((), {}))
    assert fired(probe.say(20, **round_of((), {"esno_db": 0.0}))) == []
