"""Texts: every finding that the rules can make explains itself in both languages."""

from __future__ import annotations

import string
import unicodedata
from typing import Any

import numpy as np
import pytest

from detection.findings import Finding, Phase
from detection.quality_fridge import ROW as FRIDGE_ROW
from detection.rules import (
    read_chatter,
    read_gap,
    read_limits,
    read_loss,
    read_platform,
    read_silence,
    read_slow,
    read_stuck,
)
from detection.rules_probe import RULES as PROBE_RULES
from detection.rules_shift import NOISE, read_shift
from detection.rules_tables import (
    read_causes,
    read_conditions,
    read_dropouts,
    read_pairs,
    read_rates,
    read_zeros,
)
from detection.texts import NAMES, TEXTS, explain
from devices.kinds import KINDS, METRICS, Metric

FACTS: dict[str, Any] = {
    "held_s": 185.0,
    "readings": 3,
    "run": 21,
    "longest": 4,
    "interval_s": 300.0,
    "left_s": 7300.0,
    "base": 21.5,
    "ambient_c": 27.0,
    "lag_s": 25200.0,
    "said_s": 1200.0,
    "nights": 5,
    "unit": "°F",
    "other": "pm10_ugm3",
    "times": 2.5,
    "usual": 1,
}
JUDGED = {
    "limits": [m for m in METRICS if np.isfinite(read_limits().limit[m.row]).any()],
    "shift": [m for m in METRICS if read_shift().applies[m.row]],
    "noise": [m for m in METRICS if read_shift().tau[m.row, NOISE] > 0],
    "drift": [m for m in METRICS if np.isfinite(read_shift().drift[m.row])],
    "loss": [m for m in METRICS if read_loss()[m.row]],
    "slow-link": [m for m in METRICS if read_slow()[m.row]],
    "chatter": [m for m in METRICS if read_chatter().applies[m.row]],
    "gap": [m for m in METRICS if read_gap()[m.row]],
    "stuck": [m for m in METRICS if read_stuck().applies[m.row]],
}
JUDGED |= {rule.name: [METRICS[rule.row]] for rule in read_conditions()}
JUDGED |= {
    "impossible": list(METRICS),
    "rate": [METRICS[r.row] for r in read_rates().values() if not r.counter],
    "unit": [METRICS[r.row] for r in read_rates().values() if not r.counter],
    "counter": [METRICS[r.row] for r in read_rates().values() if r.counter],
    "zero": [METRICS[row] for row in read_zeros()],
    "dropout": [METRICS[row] for row in read_dropouts()],
    "pair": [METRICS[row] for row in read_pairs()],
    "leak": [KINDS["water-level"].metrics["flow_m3h"]],
    "smoke": [KINDS["air-quality"].metrics["pm2_5_ugm3"]],
    "panel-dead": [KINDS["solar"].metrics["pv_w"]],
    "night-sun": [KINDS["solar"].metrics["pv_v"]],
    "battery-ageing": [KINDS["solar"].metrics["battery_v"]],
    "counter-still": [KINDS["power"].metrics["energy_kwh"]],
    "current-lost": [KINDS["power"].metrics["current_a"]],
    "occupancy-still": [KINDS["presence"].metrics["occupancy"]],
    "door-night": [KINDS["presence"].metrics["door_open"]],
    "route-change": [KINDS["connectivity-probe"].metrics["nat_rtt_min_ms"]],
    "international-slow": [KINDS["connectivity-probe"].metrics["int_rtt_min_ms"]],
    "congestion": [KINDS["connectivity-probe"].metrics["nat_rtt_p50_ms"]],
    "slow-trips": [KINDS["connectivity-probe"].metrics["nat_rtt_p50_ms"]],
    "probe-outside": [METRICS[FRIDGE_ROW]],
}
DEVICE_RULES = dict.fromkeys(("silence", "clock-skew", "unreadable", "interval"), "environment")
PLATFORM_FACTS = {
    "place": "a/b",
    "problem": "refused",
    "waiting": 12,
    "setting": "influx.url",
    "command": "govsense check",
}
WITH_REASONS = {"impossible", "fridge-warm", "fridge-heat", "tank-low", "tank-dry", "route-change"}
ALL = [(rule, metric) for rule, metrics in JUDGED.items() for metric in metrics]
LATIN_WORDS = {"TCP", "TLS", "DNS", "HTTP", "UPS", "MTU", "RSRP", "RSRQ", "SINR"}
LATIN_WORDS |= {"MQTT", "InfluxDB"}
LATIN_WORDS |= {"WHO", "EN", "NTU", "mg", "L", "dB", "dBm", "ppm", "C", "UTC"}
LATIN_WORDS |= {"CO", "PM", "pH", "Es", "N"}  # and units


def finding(metric: Metric, rule: str, phase: Phase, **facts: Any) -> Finding:
    """A finding on that metric, a little above its middle."""
    return Finding(
        "d1",
        metric.name,
        rule,
        phase,
        "condition",
        "warning",
        0,
        0,
        metric.hard_min + (metric.hard_max - metric.hard_min) * 0.61,
        None if rule == "stuck" else (metric.hard_min, metric.hard_max),
        {"kind": metric.kind, **FACTS, **facts},
    )


def test_every_metric_has_a_name_in_both_languages() -> None:
    """A metric that the kinds know has a name, in Latin letters and in Lao ones."""
    assert set(NAMES) == {metric.name for metric in METRICS}
    for english, lao in NAMES.values():
        assert english.isascii()
        assert any("\u0e80" <= c <= "\u0eff" for c in lao)


@pytest.mark.parametrize("phase", ["pending", "firing", "clear"])
@pytest.mark.parametrize(("rule", "metric"), ALL, ids=[f"{r}-{m.kind}-{m.name}" for r, m in ALL])
def test_every_rule_explains_itself_on_every_metric(
    rule: str, metric: Metric, phase: Phase
) -> None:
    """The text names the metric and the value, has no hole, and says what to do while it lasts."""
    english, lao = explain(finding(metric, rule, phase))
    for said, language in ((english, 0), (lao, 1)):
        assert "{" not in said
        assert "  " not in said
        assert NAMES[metric.name][language].lower() in said.lower()
    assert ("Next: " in english) == ("ສິ່ງທີ່ຄວນເຮັດ: " in lao) == (phase != "clear")


@pytest.mark.parametrize("rule", PROBE_RULES)
def test_a_signature_explains_itself_without_a_value(rule: str) -> None:
    """A lookup that never came back has no value; its alert still says what to do."""
    metric = next(m for m in METRICS if m.name == PROBE_RULES[rule].metrics[0])
    value = None if rule in ("dns-failing", "mtu-hole", "international-down") else 4.0
    marks_of: dict[Phase, tuple[str, ...]] = {
        "firing": ("Seen: ", "Expected: ", "Next: "),
        "clear": ("Over: ",),
    }
    for phase, marks in marks_of.items():
        said = explain(finding(metric, rule, phase)._replace(value=value, expected=None))
        assert all(mark in said.en for mark in marks)
        assert "{" not in said.en + said.lo


@pytest.mark.parametrize(
    "key",
    [key for key in TEXTS if key.split(".")[0] in WITH_REASONS and not key.endswith(".firing")],
)
def test_reasons_are_told_after_the_finding(key: str) -> None:
    """A rule that knows why says one sentence more, in both languages."""
    rule, why = key.split(".")
    metric = JUDGED[rule][0]
    said = explain(finding(metric, rule, "firing", why=why))
    plain = explain(finding(metric, rule, "firing"))
    assert len(said.en) > len(plain.en)
    assert len(said.lo) > len(plain.lo)


@pytest.mark.parametrize("rule", ["shift", "noise", "drift"])
def test_a_new_normal_is_told_of_every_metric(rule: str) -> None:
    """A level, noise or drift that lasted is accepted, and its alert says so in both languages."""
    for metric in JUDGED[rule]:
        said = explain(finding(metric, rule, "clear", accepted=1))
        assert "now taken as its normal" in said.en
        assert said.lo != explain(finding(metric, rule, "clear", accepted=0)).lo
        assert NAMES[metric.name].lo in said.lo


def test_every_rule_explains_itself_above() -> None:
    """No rule is left out: what has a cause, and what the tables name, is walked in this file."""
    walked = set(JUDGED) | set(PROBE_RULES) | set(DEVICE_RULES)
    assert set(read_causes()) == walked


@pytest.mark.parametrize("phase", ["pending", "firing", "clear"])
@pytest.mark.parametrize("rule", [*DEVICE_RULES, *read_platform()])
def test_rules_without_a_metric_explain_themselves(rule: str, phase: Phase) -> None:
    """What concerns a device as a whole, or govsense itself, has a text in every phase."""
    kind = DEVICE_RULES.get(rule, "environment")
    facts = {**FACTS, **PLATFORM_FACTS, "kind": kind}
    told = Finding("d1", "", rule, phase, "data_quality", "warning", 0, 0, None, None, facts)
    for said, over in zip(explain(told), ("Over: ", "ສິ້ນສຸດແລ້ວ: "), strict=True):
        assert "{" not in said
        assert (over in said) == (phase == "clear")


def test_every_rule_has_a_cause() -> None:
    """What can fire is in the table of causes, so that incidents know what it points to."""
    assert set(read_causes()) >= set(JUDGED) | set(PROBE_RULES)


def test_seen_expected_and_why() -> None:
    """A text carries the value and the range with their unit, as numbers that people write."""
    loss = next(m for m in METRICS if m.name == "nat_loss_pct")
    said = explain(finding(loss, "limits", "firing", side="high")._replace(value=35.0))
    assert "35 %" in said.en
    assert "35 %" in said.lo
    assert "at most 100 %" in said.en
    assert "ບໍ່ເກີນ 100 %" in said.lo
    assert "3.1 min" in said.en
    assert "3.1 ນາທີ" in said.lo


def test_advice_follows_the_nature() -> None:
    """A bad water reading asks for a sample; a bad water sensor asks for the sensor."""
    turbidity = next(m for m in METRICS if m.name == "turbidity_ntu")
    real = finding(turbidity, "limits", "firing")
    faulty = real._replace(nature="data_quality")
    assert "sample" in explain(real).en
    assert "sample" not in explain(faulty).en
    assert "sensor" in explain(faulty).en


def test_water_that_stands_unusually_is_asked_about_first() -> None:
    """A river in flood is not told as a broken sensor."""
    level = next(m for m in METRICS if m.name == "level_m")
    said = explain(finding(level, "shift", "firing"))
    assert "Next: ask the site whether the water really stands there" in said.en
    assert "do not rely" not in said.en
    assert said.lo != explain(finding(level, "stuck", "firing")).lo


def test_a_range_without_width_is_one_value() -> None:
    """A coarse sensor's range may be narrower than what its metric is told with."""
    humidity = next(m for m in METRICS if m.name == "humidity_pct")
    said = explain(finding(humidity, "shift", "firing")._replace(expected=(29.999, 30.001)))
    assert "Expected: 30 %, judged by" in said.en


@pytest.mark.parametrize(
    ("value", "expected", "said"),
    [
        (2.7881, (2.257, 2.78796), "2.257 m to 2.787 m"),
        (2.2569, (2.2571, 2.788), "2.258 m to 2.788 m"),
        (2.95, (2.257, 2.78796), "2.257 m to 2.788 m"),
        (2.7881, (2.7879, 2.788), "2.787 m"),
    ],
)
def test_a_value_beyond_its_range_is_not_printed_as_its_end(
    value: float, expected: tuple[float, float], said: str
) -> None:
    """An end that rounds to the value is told rounded to the inside."""
    level = next(m for m in METRICS if m.name == "level_m")
    told = explain(finding(level, "shift", "firing")._replace(value=value, expected=expected))
    assert f"Expected: {said}, judged by" in told.en


def test_the_end_of_loss_shows_no_bad_share() -> None:
    """What was lost in the last two hours is not what is lost now."""
    loss = next(m for m in METRICS if m.name == "nat_loss_pct")
    over = explain(finding(loss, "loss", "clear")._replace(value=9.8))
    assert "9.8" not in over.en + over.lo


def test_yes_and_no() -> None:
    """A switch is told as yes or no."""
    mains = next(m for m in METRICS if m.name == "mains_on")
    said = explain(finding(mains, "limits", "firing", side="low")._replace(value=0.0))
    assert "mains power = no" in said.en
    assert "at least yes" not in said.en


def test_silence_needs_no_metric() -> None:
    """Silence of a whole device is told with its length and its interval."""
    for kind in read_silence():
        facts: dict[str, Any] = {"kind": kind, "held_s": 905.0, "interval_s": 300.0}
        said = explain(
            Finding(
                "d1", "", "silence", "firing", "connectivity", "warning", 0, 0, None, None, facts
            )
        )
        assert "15.1 min" in said.en
        assert "every 5 min" in said.en
        assert "15.1 ນາທີ" in said.lo
        assert "5 ນາທີ" in said.lo


@pytest.mark.parametrize("why", ["ahead", "behind", "zone"])
def test_a_wrong_clock_needs_no_metric(why: str) -> None:
    """A clock that is off is told with how much, and which way."""
    facts = FACTS | {"kind": "environment", "why": why}
    said = explain(
        Finding(
            "d1", "", "clock-skew", "firing", "data_quality", "warning", 0, 0, None, None, facts
        )
    )
    assert "7 h" in said.en
    assert "7 ຊົ່ວໂມງ" in said.lo
    assert said.en.count(". ") >= 3


def test_an_accepted_level_is_told_as_such() -> None:
    """A shift that ends because its level lasted says that this is now normal."""
    metric = next(m for m in METRICS if m.name == "humidity_pct")
    assert "normal level" in explain(finding(metric, "shift", "clear", accepted=1)).en
    assert "normal level" not in explain(finding(metric, "shift", "clear", accepted=0)).en


def test_lao_is_lao() -> None:
    """Lao texts are in Lao script but for known abbreviations, composed in one way."""
    for source in (TEXTS, NAMES):
        for key, (_, lao) in source.items():
            assert unicodedata.normalize("NFC", lao) == lao
            assert "\u0ecd\u0ec9\u0eb2" not in lao, f"{key}: two signs where U+0EB3 is meant"
            plain = "".join(text for text, *_ in string.Formatter().parse(lao))
            for word in "".join(c if c.isascii() and c.isalpha() else " " for c in plain).split():
                assert word in LATIN_WORDS, f"{key}: {word}"


def test_both_languages_fill_the_same_holes() -> None:
    """Whatever number the English text shows, the Lao text shows too."""
    for source in (TEXTS, NAMES):
        for key, (english, lao) in source.items():
            holes = [
                {field for _, field, *_ in string.Formatter().parse(text) if field is not None}
                for text in (english, lao)
            ]
            assert holes[0] == holes[1], key
