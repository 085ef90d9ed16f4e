"""The simulated world: values that devices could report, with the rhythms of the country."""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from dataclasses import replace

import pytest

from devices.kinds import KINDS
from devices.registry import Device
from simulators.world import model_for, rhythm
from simulators.world.model import Value, rounded
from tests.simulators.country import START_MS, country

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
REGISTRY = country()
NEEDS_RADIO = {"rsrp_dbm", "rsrq_db", "sinr_db"}


def measured(
    device: Device, *, seed: int = 1, days: float = 1.0, step_ms: int = 300_000
) -> list[tuple[int, dict[str, Value]]]:
    """A device's rounds at a step of five minutes, rounded as it would report them."""
    model = model_for(seed, device, REGISTRY.sites[device.site])
    rounds: list[tuple[int, dict[str, Value]]] = []
    for at_ms in range(START_MS, START_MS + round(days * DAY_MS), step_ms):
        dt_s = step_ms / 1000 if rounds else 0.0
        rounds.append((at_ms, rounded(device.kind, model.measure(at_ms, dt_s))))
    return rounds


def column(rounds: list[tuple[int, dict[str, Value]]], metric: str) -> list[float]:
    return [float(v) for _, values in rounds if (v := values.get(metric)) is not None]


@pytest.mark.parametrize("name", sorted(REGISTRY.devices))
def test_values_are_possible(name: str) -> None:
    """Every value lies inside its hard range, and hardly any outside the plausible one."""
    device = REGISTRY.devices[name]
    implausible: dict[str, int] = defaultdict(int)
    rounds = measured(device)
    for _, values in rounds:
        for metric_name, value in values.items():
            metric = KINDS[device.kind].metrics[metric_name]
            if value is None:
                continue
            low, high = metric.hard_range(device.params)
            assert low <= value <= high, metric_name
            plausible = metric.plausible_range(device.params)
            if plausible is not None and not plausible[0] <= value <= plausible[1]:
                implausible[metric_name] += 1
    slow_by_nature = {"dns_ms"} if name == "probe-vsat-geo" else set()
    for metric_name, count in implausible.items():
        if metric_name not in slow_by_nature:
            assert count / len(rounds) < 0.15, metric_name


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_metric_of_a_kind_is_played(kind: str) -> None:
    """Devices of a kind report every metric that the table has (radio metrics on radio links)."""
    seen: set[str] = set()
    for device in REGISTRY.devices.values():
        if device.kind == kind:
            for _, values in measured(device):
                seen.update(values)
    assert seen == set(KINDS[kind].metrics)


def test_same_seed_same_values_and_another_seed_others() -> None:
    """A device's rounds are a function of the seed."""
    device = REGISTRY.devices["probe-4g"]
    assert measured(device, days=0.1) == measured(device, days=0.1)
    assert measured(device, days=0.1) != measured(device, days=0.1, seed=2)


@pytest.mark.parametrize("link", ["fibre", "4g", "vsat-geo"])
def test_a_probe_does_not_contradict_itself(link: str) -> None:
    """Quantiles are in order, loss follows the counts, nothing received means no round trip."""
    for _, values in measured(REGISTRY.devices[f"probe-{link}"]):
        for tier in ("gw", "isp", "nat", "int"):
            sent, rcvd = values[f"{tier}_sent"], values[f"{tier}_rcvd"]
            assert sent is not None
            assert rcvd is not None
            assert 0 <= rcvd <= sent
            assert values[f"{tier}_loss_pct"] == pytest.approx(100 * (sent - rcvd) / sent)
            parts = [values[f"{tier}_rtt_{part}_ms"] for part in ("min", "p50", "p95", "max")]
            if tier == "gw" and parts[2] is None:  # told in some rounds only
                parts.pop(2)
            if parts[-1] is None:
                parts.pop()
            if rcvd == 0:
                assert parts == [None] * len(parts)
            else:
                assert parts == sorted(parts, key=lambda part: part or 0)


def test_a_geostationary_link_obeys_physics() -> None:
    """No round trip over a geostationary satellite is shorter than light needs: 477 ms."""
    rounds = measured(REGISTRY.devices["probe-vsat-geo"])
    assert min(column(rounds, "nat_rtt_min_ms")) >= 477
    assert max(column(rounds, "gw_rtt_min_ms")) < 20


def test_congestion_follows_working_hours() -> None:
    """A busy Monday morning is slower than Sunday's, while the smallest round trip stays."""
    device = REGISTRY.devices["probe-dsl"]
    rounds = measured(device, days=7)

    def morning(day: int, metric: str) -> float:
        first = START_MS + day * DAY_MS + 2.5 * HOUR_MS
        inside = [r for r in rounds if first <= r[0] < first + 1.5 * HOUR_MS]
        return statistics.median(column(inside, metric))

    assert morning(0, "nat_rtt_p95_ms") > 1.4 * morning(6, "nat_rtt_p95_ms")
    assert morning(0, "nat_rtt_min_ms") < 1.2 * morning(6, "nat_rtt_min_ms")


def test_round_trips_have_a_heavy_tail() -> None:
    """The largest round trips are many times the middle, more than a normal law would give."""
    values = column(measured(REGISTRY.devices["probe-4g"], days=5), "nat_rtt_max_ms")
    middle, spread = statistics.median(values), statistics.pstdev(values)
    assert max(values) > middle + 5 * spread


def test_a_tank_is_a_saw_tooth() -> None:
    """The level falls while the pump rests, rises while it runs, and both happen daily."""
    rounds = measured(REGISTRY.devices["facility-water-level"], days=2, step_ms=60_000)
    rising = [
        float(after["level_m"] or 0) - float(before["level_m"] or 0)
        for (_, before), (_, after) in itertools.pairwise(rounds)
        if before["pump_on"] and after["pump_on"]
    ]
    assert len(rising) > 60
    assert statistics.mean(rising) > 0.005
    falling = [v["pump_on"] for _, v in rounds].count(False)
    assert falling > 60


def test_a_river_rises_with_the_rains() -> None:
    """A gauge without a tank's height has no pump, and stands higher in August than in March."""
    gauge = replace(REGISTRY.devices["facility-water-level"], params={})
    model = model_for(1, gauge, REGISTRY.sites[gauge.site])
    march = model.measure(START_MS, 0.0)
    august = model.measure(START_MS + 155 * DAY_MS, 155 * 86_400.0)
    assert set(march) == {"level_m", "battery_v"}
    assert 0 < float(march["level_m"] or 0) < float(august["level_m"] or 0) - 1


def test_a_panel_gives_nothing_at_night() -> None:
    """A solar panel has no voltage and no power between 19 and 5 h, and both at noon."""
    for at_ms, values in measured(REGISTRY.devices["facility-solar"], days=2):
        hour = rhythm.local_hour(at_ms)
        if hour < 5 or hour > 19:
            assert values["pv_v"] == values["pv_w"] == 0
        elif 11 < hour < 13:
            assert float(values["pv_v"] or 0) > 15


def test_a_vaccine_store_stays_in_its_range() -> None:
    """A refrigerator cycles between 2 and 8 degrees, also when its door is opened."""
    rounds = measured(REGISTRY.devices["facility-cold-chain"], days=3, step_ms=60_000)
    temperatures = column(rounds, "temperature_c")
    assert 2 < min(temperatures) < 4 < 5 < max(temperatures) < 8
    assert any(values["door_open"] for _, values in rounds)
    switched = sum(
        before["compressor_on"] != after["compressor_on"]
        for (_, before), (_, after) in itertools.pairwise(rounds)
    )
    assert switched > 20


def test_the_energy_counter_never_falls() -> None:
    """A meter's energy only grows."""
    counter = column(measured(REGISTRY.devices["facility-power"]), "energy_kwh")
    assert counter == sorted(counter)
    assert counter[-1] > counter[0]


def test_local_time_is_seven_hours_ahead() -> None:
    """Midnight UTC is 7 h in the country; Saturday and Sunday are no working days."""
    assert rhythm.local_hour(START_MS) == 7.0
    working = [rhythm.is_working_day(START_MS + day * DAY_MS) for day in range(7)]
    assert working == [True] * 5 + [False] * 2
    assert not rhythm.is_working_day(START_MS - 8 * HOUR_MS)  # Sunday 23 h local
