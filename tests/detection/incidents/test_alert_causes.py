"""The cause that alerts speak for, alone and together, where no outage tells of one."""

from __future__ import annotations

import pytest

from detection.incidents.alert_causes import cause_of_alert
from detection.incidents.alert_verdicts import verdict_of_alerts
from detection.incidents.changes import Cause, Scope
from detection.incidents.signs import sign_of_alert
from tests.detection.incidents.world import Play, registry, site


def test_a_full_queue_is_congestion_and_a_longer_way_is_not() -> None:
    """The median rises alone: congestion. The minimum rises with it: not known from here."""
    sites = [site("s00"), site("s01", "LA-SV", provider="LTC")]
    play = Play(registry(sites))
    play.alert("probe-s00", 5, 60, nature="connectivity", rule="shift", metric="nat_rtt_p50_ms")
    play.alert("probe-s00", 40, 60, nature="connectivity", rule="limits", metric="nat_jitter_ms")
    for metric in ("nat_rtt_p50_ms", "nat_rtt_min_ms"):
        play.alert("probe-s01", 5, 60, nature="connectivity", rule="shift", metric=metric)
    play.until(200)
    said = {c.scope: c.cause for c in play.latest().values()}
    assert said == {Scope("site", "s00"): "congestion", Scope("site", "s01"): "unknown"}


@pytest.mark.parametrize(("metric", "cause"), [("frequency_hz", "power"), ("level_m", "sensor")])
def test_a_mains_that_does_not_hold_still_is_power(metric: str, cause: Cause) -> None:
    """Noise of a frequency is the grid's; of a level it is the sensor's."""
    play = Play(registry([site("s00")]))
    play.alert("env0-s00", 5, 60, nature="data_quality", rule="noise", metric=metric)
    play.until(200)
    assert [c.cause for c in play.latest().values()] == [cause]


@pytest.mark.parametrize(
    ("metrics", "cause"),
    [(["int_loss_pct"], "international"), (["int_loss_pct", "nat_loss_pct"], "unknown")],
)
def test_loss_abroad_alone_is_international(metrics: list[str], cause: Cause) -> None:
    """What the country's own network loses too says nothing of the way abroad."""
    play = Play(registry([site("s00")]))
    for metric in metrics:
        play.alert("probe-s00", 5, 60, nature="connectivity", metric=metric)
    play.until(200)
    assert [c.cause for c in play.latest().values()] == [cause]


def test_what_two_rules_find_in_one_metric_is_one_incident() -> None:
    """A turbid river is noisy too: the rule that has a name says the cause."""
    play = Play(registry([site("s00")]))
    noise = play.alert("env0-s00", 5, 30, nature="data_quality", rule="noise")
    turbid = play.alert("env0-s00", 20, 90, rule="water-turbid")
    play.until(200)
    (change,) = play.latest().values()
    assert change.cause == "facility"
    assert set(play.parents) == {noise.alert, turbid.alert}


def test_what_crept_up_while_it_was_known_already_is_the_same() -> None:
    """Drift is told half a day after its onset, when the shift that it was has been accepted."""
    play = Play(registry([site("s00")]))
    shift = play.alert("env0-s00", 0, 360, rule="shift")
    play.alert("env0-s00", 350, 600, rule="co2-high", metric="co2_ppm")
    drift = play.alert("env0-s00", 380, 900, onset=120, rule="drift")
    play.until(1000)
    assert play.parents[shift.alert] == play.parents[drift.alert]


@pytest.mark.parametrize(("uneven", "cause"), [("", "unknown"), ("shift", "facility")])
def test_turbid_water_that_crept_up_may_be_a_lens_that_fouls(uneven: str, cause: Cause) -> None:
    """Mud comes with a jump; without one, or noise, nobody can tell."""
    play = Play(registry([site("s00")]))
    if uneven:
        play.alert("env0-s00", 5, 90, rule=uneven, metric="turbidity_ntu")
    play.alert("env0-s00", 20, 90, rule="water-turbid", metric="turbidity_ntu")
    play.until(200)
    assert [c.cause for c in play.latest().values()] == [cause]


@pytest.mark.parametrize(("hours", "cause"), [(5, "power"), (7, "unknown")])
def test_a_sag_that_outlasts_any_load_may_be_the_meter(hours: int, cause: Cause) -> None:
    """One meter far off: for some hours it is the supply; all night long an offset is as likely."""
    play = Play(registry([site("s00")]))
    play.alert("env0-s00", 5, 5 + hours * 60, rule="mains-sag", metric="mains_v")
    play.until(700)
    assert [c.cause for c in play.latest().values()] == [cause]


def test_loss_abroad_over_a_satellite_says_nothing() -> None:
    """Rain shows on the longest way first."""
    play = Play(registry([site("s00", link="vsat-geo")]))
    play.alert("probe-s00", 5, 60, nature="connectivity", metric="int_loss_pct")
    play.until(200)
    assert [c.cause for c in play.latest().values()] == ["unknown"]


def test_a_low_battery_is_the_sensor_s_trouble() -> None:
    """Of a thermometer the battery is its own."""
    play = Play(registry([site("s00")]))
    play.alert("env0-s00", 5, 60, metric="battery_v")
    play.until(200)
    assert [c.cause for c in play.latest().values()] == ["sensor"]


@pytest.mark.parametrize("rule", ["route-change", "shift"])
def test_a_longer_way_is_the_provider_s(rule: str) -> None:
    """The median rises, and the shortest trip, told as information, with it: no congestion."""
    play = Play(registry([site("s00")]))
    play.alert("probe-s00", 5, 300, nature="connectivity", rule=rule, severity="info",
               metric="nat_rtt_min_ms")  # fmt: skip
    for metric in ("nat_rtt_p50_ms", "http_total_ms"):
        play.alert("probe-s00", 6, 60, nature="connectivity", rule="shift", metric=metric)
    play.until(200)
    assert {c.cause for c in play.latest().values()} == {"provider"}


@pytest.mark.parametrize(("longer", "cause"), [(False, "congestion"), (True, "provider")])
def test_slow_trips_are_a_full_line_or_a_longer_way(longer: bool, cause: Cause) -> None:
    """On all tiers: congestion, unless the way is another one."""
    play = Play(registry([site("s00")]))
    if longer:
        play.alert("probe-s00", 5, 300, nature="connectivity", rule="route-change",
                   severity="info", metric="nat_rtt_min_ms")  # fmt: skip
    play.alert("probe-s00", 6, 60, nature="connectivity", rule="slow-trips",
               metric="nat_rtt_p50_ms")  # fmt: skip
    play.until(200)
    assert {c.cause for c in play.latest().values()} == {cause}


@pytest.mark.parametrize("lossy", [False, True])
def test_a_full_line_is_congestion(lossy: bool) -> None:
    """The median rises, the shortest trip does not; what is lost then is lost by the queue."""
    play = Play(registry([site("s00")]))
    if lossy:
        play.alert("probe-s00", 5, 60, nature="connectivity", rule="loss", metric="isp_loss_pct")
    play.alert("probe-s00", 6, 60, nature="connectivity", rule="shift", metric="nat_rtt_p50_ms")
    play.until(200)
    assert {c.cause for c in play.latest().values()} == {"congestion"}


@pytest.mark.parametrize(
    ("kind", "rule", "metric", "nature", "side", "cause"),
    [
        ("environment", "shift", "co2_ppm", "data_quality", "high", "unknown"),
        ("environment", "shift", "co2_ppm", "data_quality", "low", "sensor"),
        ("environment", "drift", "co2_ppm", "data_quality", "high", "unknown"),
        ("environment", "limits", "humidity_pct", "condition", "low", "sensor"),
        ("environment", "limits", "temperature_c", "condition", "high", "facility"),
        ("environment", "shift", "mains_v", "condition", "low", "unknown"),
        ("environment", "noise", "mains_v", "data_quality", "high", "unknown"),
        ("environment", "mains-low", "mains_v", "condition", "low", "power"),
        ("water-quality", "shift", "turbidity_ntu", "data_quality", "high", "unknown"),
        ("water-level", "shift", "level_m", "data_quality", "high", "unknown"),
        ("water-level", "shift", "level_m", "data_quality", "low", "sensor"),
        ("water-quality", "shift", "conductivity_uscm", "data_quality", "low", "unknown"),
        ("water-quality", "noise", "conductivity_uscm", "data_quality", "high", "sensor"),
        ("water-quality", "shift", "chlorine_mgl", "condition", "low", "unknown"),
        ("water-quality", "chlorine-low", "chlorine_mgl", "condition", "low", "facility"),
        ("cold-chain", "shift", "temperature_c", "condition", "high", "unknown"),
        ("cold-chain", "drift", "temperature_c", "condition", "high", "facility"),
        ("solar", "shift", "battery_v", "condition", "low", "unknown"),
        ("solar", "limits", "battery_v", "condition", "low", "facility"),
        ("water-level", "shift", "pressure_bar", "condition", "low", "unknown"),
    ],
)
def test_the_metric_tells_what_a_rule_means(
    kind: str, rule: str, metric: str, nature: str, side: str, cause: Cause
) -> None:
    """More CO2 may be people, less cannot be; bubbles look like mud, a rising river like a sensor
    that drifts; a flood changes what water conducts, a dark week what a battery holds."""
    play = Play(registry([site("s00")]))
    expected = (0.0, 0.5) if side == "high" else (2.0, 3.0)  # the value is 1
    alert = play.alert("env0-s00", 5, 60, rule=rule, metric=metric, nature=nature)
    assert cause_of_alert(alert._replace(expected=expected), kind) == cause


@pytest.mark.parametrize(
    ("link", "metric", "cause"),
    [
        ("vsat-geo", "isp_loss_pct", "rain-fade"),
        ("4g", "isp_loss_pct", "last-mile"),
        ("4g", "nat_loss_pct", "unknown"),
    ],
)
def test_where_packets_are_lost_tells_why(link: str, metric: str, cause: Cause) -> None:
    """On the way to the provider it is the line, or the rain; beyond it nobody knows."""
    play = Play(registry([site("s00", link=link)]))
    play.alert("probe-s00", 5, 60, nature="connectivity", rule="loss", metric=metric)
    play.until(200)
    assert [c.cause for c in play.latest().values()] == [cause]


@pytest.mark.parametrize(("minutes", "cause"), [(15, "sensor"), (60, "facility")])
def test_what_comes_and_goes_within_minutes_is_the_sensor(minutes: float, cause: Cause) -> None:
    """No pump and no tank does that; what lasts an hour may be the facility."""
    play = Play(registry([site("s00")]))
    play.alert("env0-s00", 5, 5 + minutes, rule="shift", metric="pressure_bar")
    play.until(200)
    assert [c.cause for c in play.latest().values()] == [cause]


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        ([("env0-s00", "mains-low")], "unknown"),
        ([("env0-s00", "mains-high"), ("env0-s00", "shift")], "unknown"),
        ([("env0-s00", "mains-low"), ("env0-s00", "mains-sag")], "power"),
        ([("env0-s00", "mains-off")], "power"),
    ],
)
def test_one_meter_a_little_off_is_no_proof(found: list[tuple[str, str]], cause: Cause) -> None:
    """The supply may be weak, or the meter wrong; a deep sag or no mains at all is the supply."""
    play = Play(registry([site("s00")]))
    for n, (device, rule) in enumerate(found):
        play.alert(device, 5 + n, 60, rule=rule, metric="mains_v")
    play.until(200)
    (change,) = play.latest().values()
    assert change.cause == cause
    assert ("Only one meter" in change.evidence[-1]) == (cause == "unknown")


@pytest.mark.parametrize(
    ("rules", "cause", "evidence"),
    [
        (["zero", "limits"], "unknown", "A sensor at zero"),
        (["limits", "zero"], "unknown", "A sensor at zero"),
        (["tank-full", "stuck"], "unknown", "A sensor at zero"),
        (["limits", "rate"], "sensor", "The value jumped"),
        (["limits", "rate", "stuck"], "sensor", "The value jumped"),
        (["stuck"], "sensor", "Alerts: 1"),
        (["tank-full", "limits"], "facility", "Alerts: 2"),
        (["tank-full", "drift"], "facility", "Alerts: 2"),
    ],
)
def test_a_condition_and_a_bad_reading_of_one_metric(
    rules: list[str], cause: Cause, evidence: str
) -> None:
    """In either order: a jump no tank can make is the sensor; a dry pipe and a dead sensor are
    the same to see."""
    bad = ("zero", "stuck", "rate", "drift")
    play = Play(registry([site("s00")]))
    for n, rule in enumerate(rules):
        nature = "data_quality" if rule in bad else "condition"
        play.alert("env0-s00", 5 + n, 60, rule=rule, nature=nature, metric="level_m")
    play.until(200)
    (change,) = play.latest().values()
    assert change.cause == cause
    assert change.evidence[-1].startswith(evidence)


@pytest.mark.parametrize(
    ("minutes", "also", "cause"),
    [
        (60, "", "rain-fade"),
        (120, "", "unknown"),
        (120, "rain-fade", "rain-fade"),
        (120, "limits", "rain-fade"),
    ],
)
def test_loss_that_outlasts_rain_is_not_rain(minutes: int, also: str, cause: Cause) -> None:
    """Rain passes within 90 minutes; a signal that fell, or a deep loss, is proof all the same."""
    play = Play(registry([site("s00", link="vsat-geo")]))
    if also == "rain-fade":
        play.alert("probe-s00", 5, 60, nature="connectivity", rule=also, severity="info",
                   metric="esno_db")  # fmt: skip
    if also == "limits":
        play.alert("probe-s00", 5, 60, nature="connectivity", rule=also, metric="isp_loss_pct")
    play.alert("probe-s00", 5, 5 + minutes, nature="connectivity", rule="loss",
               metric="isp_loss_pct")  # fmt: skip
    play.until(300)
    assert {c.cause for c in play.latest().values()} == {cause}


@pytest.mark.parametrize(
    ("expected", "cause"), [((0.0, 0.5), "congestion"), ((2.0, 3.0), "unknown")]
)
def test_a_shorter_trip_is_no_full_queue(expected: tuple[float, float], cause: Cause) -> None:
    """A line that was changed for a faster one is not busy."""
    play = Play(registry([site("s00")]))
    alert = play.alert("probe-s00", 5, 60, nature="connectivity", rule="shift",
                       metric="nat_rtt_p50_ms")  # fmt: skip
    sign = sign_of_alert(
        alert._replace(expected=expected), "connectivity-probe", "fibre",
        error_ms=0, due_ms=0, group_ms=0,
    )  # fmt: skip
    assert verdict_of_alerts([sign], ()).cause == cause


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        ([("env0-s00", "mains-low", "mains_v"), ("probe-s00", "mains-low", "mains_v")], "power"),
        ([("env0-s00", "tank-full", "level_m"), ("env0-s00", "zero", "flow_m3h")], "facility"),
    ],
)
def test_only_the_same_reading_is_in_doubt(found: list[tuple[str, str, str]], cause: Cause) -> None:
    """Two meters agree on the supply; a dead flow meter says nothing against a full tank."""
    play = Play(registry([site("s00")]))
    signs = []
    for device, rule, metric in found:
        nature = "data_quality" if rule == "zero" else "condition"
        alert = play.alert(device, 5, 60, rule=rule, nature=nature, metric=metric)
        signs.append(sign_of_alert(alert, "", "", error_ms=0, due_ms=0, group_ms=0))
    assert verdict_of_alerts(signs, ()).cause == cause


@pytest.mark.parametrize(
    ("metric", "rule", "en", "lo"),
    [
        ("mains_v", "mains-sag", "mains voltage (rule mains-sag)", "ແຮງດັນໄຟຟ້າ (ກົດເກນ mains-sag)"),
        ("", "clock-skew", "the device as a whole (rule clock-skew)", "ອຸປະກອນທັງໝົດ"),
    ],
)
def test_the_evidence_says_what_the_first_alert_is_about(
    metric: str, rule: str, en: str, lo: str
) -> None:
    """In words, in both languages."""
    play = Play(registry([site("s00")]))
    play.alert("env0-s00", 5, 60, rule=rule, metric=metric)
    play.until(200)
    (change,) = play.latest().values()
    assert change.evidence[0] == f"Alerts: 1. The first: {en}."
    assert lo in change.evidence_lo[0]
