"""Limits: dwell, hysteresis, gaps and boundary values."""

from __future__ import annotations

import pytest

from tests.detection.feed import Feed, steps


def test_fires_with_the_third_reading_outside() -> None:
    """A room above 45 degrees is pending at once and fires with the third such reading."""
    feed = Feed("environment", "temperature_c")
    assert steps(feed.say([25, 26, 46]), "limits") == ["pending"]
    assert steps(feed.say([47]), "limits") == []
    (fired,) = feed.say([46])
    assert fired.phase == "firing"
    assert fired.onset_ms == feed.at_ms - 2 * 60_000
    assert fired.expected == (0, 45)


def test_works_in_the_first_minute_at_five_seconds() -> None:
    """No history is needed: twelve readings of a new series are enough."""
    feed = Feed("power", "frequency_hz", interval_s=5)
    assert steps(feed.say([50, 50.1] + [48.5, 48.6] * 5), "limits") == ["pending", "firing"]


@pytest.mark.parametrize("lost", [10, 30, 100])
def test_single_bad_rounds_of_a_probe_never_fire(lost: float) -> None:
    """Rounds that lose packets, each followed by clean ones, stay silent whatever they lose."""
    feed = Feed("connectivity-probe", "nat_loss_pct")
    assert "firing" not in steps(feed.say([0, 0, lost, 0] * 50))


def test_lasting_loss_fires_though_some_rounds_are_better() -> None:
    """A link that loses a fifth of its packets is found within ten rounds."""
    feed = Feed("connectivity-probe", "nat_loss_pct")
    assert steps(feed.say([0, 0, 20, 30, 10, 20, 10, 30, 20, 10])) == ["pending", "firing"]


def test_clears_only_well_inside_and_after_several_good_readings() -> None:
    """Hysteresis: between limit and clear level nothing ends, nor after one good reading."""
    feed = Feed("environment", "temperature_c")
    feed.say([45.5] * 3)
    assert feed.say([44.5] * 10) == []
    assert feed.say([43, 43, 45.5, 43, 43]) == []
    (cleared,) = feed.say([43])
    assert cleared.phase == "clear"
    assert cleared.at_ms == feed.at_ms


def test_pending_is_dropped_by_one_good_reading() -> None:
    """Two readings outside and one inside: the dwell starts again."""
    feed = Feed("environment", "temperature_c")
    assert steps(feed.say([46, 46, 43.5, 46, 46])) == ["pending", "clear", "pending"]


def test_readings_in_a_row_are_not_counted_over_a_gap() -> None:
    """One bad round before an outage and those that come after it are no five in a row."""
    feed = Feed("connectivity-probe", "int_loss_pct")
    assert steps(feed.say([0] * 10 + [40]), "limits") == ["pending"]
    feed.pause(20 * 60)
    assert steps(feed.say([40, 40, 40, 40, 40]), "limits") == ["clear", "pending"]
    assert steps(feed.say([40]), "limits") == ["firing"]


def test_readings_in_a_row_have_none_missing_between_them() -> None:
    """A round that did not come, and may come late, is no bad one: five are counted anew."""
    feed = Feed("connectivity-probe", "int_loss_pct")
    feed.say([0] * 10 + [40] * 4)
    feed.pause(60)
    assert steps(feed.say([40] * 5), "limits") == ["clear", "pending"]
    assert steps(feed.say([40]), "limits") == ["firing"]


def test_a_24_volt_bank_is_judged_as_one() -> None:
    """Limits of a battery scale with the bank: 25 V is fine, 22 V is low, in its own volts."""
    feed = Feed("solar", "battery_v", params={"bank_v": 24})
    assert feed.say([25, 26, 25.5]) == []
    fired = feed.say([22.0] * 5)[-1]
    assert fired.phase == "firing"
    assert fired.value == pytest.approx(22)
    assert fired.expected == pytest.approx((23, 29.6))


def test_a_mended_registry_counts_from_the_next_tick() -> None:
    """A bank that was registered as 12 V and is one of 24 V becomes good once that is mended."""
    feed = Feed("solar", "battery_v")
    assert "firing" in steps(feed.say([25.5] * 5))
    params = {"bank_v": 24}
    feed.catalogue.replace_device(
        type(feed.device)("d1", "s1", "solar", feed.device.interval_s, 1, params)
    )
    feed.engine.tick(feed.at_ms)
    assert "clear" in steps(feed.say([25.6, 25.5, 25.4, 25.5, 25.6]), "limits")


@pytest.mark.parametrize(
    ("kind", "metric", "value", "side"),
    [
        ("connectivity-probe", "nat_jitter_ms", 400, "high"),
        ("connectivity-probe", "rsrp_dbm", -125, "low"),
        ("environment", "temperature_c", 50, None),
    ],
)
def test_a_limit_on_one_side_says_which(
    kind: str, metric: str, value: float, side: str | None
) -> None:
    """Where only one end matters the text must not speak of a range."""
    (pending,) = Feed(kind, metric).say([value])
    assert pending.facts.get("side") == side


def test_metrics_without_a_row_are_never_judged() -> None:
    """Counters and switches have no limits and no past that matters."""
    feed = Feed("power", "energy_kwh")
    assert feed.say([5.0] * 100 + [1e8] * 10) == []
