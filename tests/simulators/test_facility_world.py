"""Facilities in the world: physics, weather and power that hold together, and what breaks."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import replace

import pytest

from devices.registry import Device, Site
from simulators.world import model_for
from simulators.world.climate import sky_over, storms_of
from simulators.world.effects import Effect, Effects
from simulators.world.model import Value, rounded
from tests.simulators.country import START_MS, country

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
REGISTRY = country()
RAINS_MS = START_MS + 155 * DAY_MS  # early August
Rounds = list[tuple[int, dict[str, Value]]]


def device_of(kind: str) -> Device:
    return REGISTRY.devices[f"facility-{kind}"]


def play(
    device: Device,
    *effects: Effect,
    site: Site | None = None,
    hours: float = 24.0,
    start_ms: int = START_MS,
    step_ms: int = 60_000,
    seed: int = 1,
) -> Rounds:
    """A device's rounds while the effects are on."""
    model = model_for(seed, device, site or REGISTRY.sites[device.site], Effects(effects))
    rounds: Rounds = []
    for at_ms in range(start_ms, start_ms + round(hours * HOUR_MS), step_ms):
        values = model.measure(at_ms, step_ms / 1000 if rounds else 0.0)
        rounds.append((at_ms, rounded(device.kind, values)))
    return rounds


def on(what: str, hours: tuple[float, float], size: float = 1.0, **more: str) -> Effect:
    start_ms, end_ms = (START_MS + round(hour * HOUR_MS) for hour in hours)
    return Effect(what, start_ms, end_ms, size, **more)  # type: ignore[arg-type]


def column(rounds: Rounds, metric: str, hours: tuple[float, float] = (0, 1e6)) -> list[float]:
    """A metric's values between two hours of the run."""
    first_ms = rounds[0][0]
    return [
        float(value)
        for at_ms, values in rounds
        if hours[0] <= (at_ms - first_ms) / HOUR_MS < hours[1]
        and (value := values.get(metric)) is not None
    ]


def test_a_fridge_without_power_warms_and_never_cools() -> None:
    """In a power cut the compressor rests and the goods warm towards the room, slowly."""
    rounds = play(device_of("cold-chain"), on("mains-off", (2, 10)), hours=24)
    dark = (2.1, 10.0)
    assert set(column(rounds, "mains_on", dark)) == {0.0}
    assert set(column(rounds, "compressor_on", dark)) == {0.0}
    by_hour = [statistics.median(column(rounds, "temperature_c", (h, h + 1))) for h in range(3, 10)]
    assert by_hour == sorted(by_hour)
    assert by_hour[0] < 8 < by_hour[-1] < min(column(rounds, "ambient_c", dark))
    assert by_hour[1] - by_hour[0] < 2.5  # a ramp: the holdover of an insulated box
    assert max(column(rounds, "temperature_c", (20, 24))) < 8


@pytest.mark.parametrize(
    ("what", "size", "runs"), [("compressor-dead", 1.0, {0.0}), ("gas-leak", 1.0, {1.0})]
)
def test_a_fridge_that_does_not_cool_shows_why(what: str, size: float, runs: set[float]) -> None:
    """A dead compressor rests with the mains on; one without gas runs without end."""
    rounds = play(device_of("cold-chain"), on(what, (0, 24), size))
    assert set(column(rounds, "compressor_on", (8, 24))) == runs
    assert set(column(rounds, "mains_on")) == {1.0}
    assert max(column(rounds, "temperature_c")) > 10


def test_a_thermostat_that_aims_too_low_freezes_the_vaccine() -> None:
    """At night, with the door shut, the store stays below -0.5 degrees for hours; it recovers."""
    rounds = play(device_of("cold-chain"), on("thermostat-low", (8, 20), 6.5), hours=34)
    assert max(column(rounds, "temperature_c", (16, 20))) <= -0.5
    assert column(rounds, "temperature_c")[-1] > 2


def test_an_open_door_and_a_probe_outside_both_warm_but_not_alike() -> None:
    """Behind an open door the compressor works; a probe in the room reads the room's air."""
    ajar = play(device_of("cold-chain"), on("door-ajar", (1, 6), 8.0), hours=6)
    assert set(column(ajar, "door_open", (1.1, 6))) == {1.0}
    assert max(column(ajar, "temperature_c")) > 9
    out = play(device_of("cold-chain"), on("probe-out", (1, 6)), hours=8)
    read, room = column(out, "temperature_c", (3, 6)), column(out, "ambient_c", (3, 6))
    assert max(abs(a - b) for a, b in zip(read, room, strict=True)) < 0.5
    assert max(column(out, "temperature_c", (7.5, 8))) < 8
    assert 0.0 in column(out, "compressor_on", (1, 6))


def test_restocking_is_over_in_minutes() -> None:
    """The probe's air warms above 8 degrees while goods come in, and is cold again soon."""
    rounds = play(device_of("cold-chain"), on("restock", (2, 2.12), 6.0), hours=3)
    assert max(column(rounds, "temperature_c", (2, 2.2))) > 8
    assert max(column(rounds, "temperature_c", (2.4, 3))) < 7


def test_a_short_cycling_compressor_switches_many_times_as_often() -> None:
    """The temperature stays well, the compressor starts at least three times as often."""

    def starts(rounds: Rounds) -> int:
        pairs = itertools.pairwise(column(rounds, "compressor_on"))
        return sum(after > before for before, after in pairs)

    well, ill = (
        play(device_of("cold-chain"), *effects) for effects in ((), (on("short-cycling", (0, 24)),))
    )
    assert starts(ill) > 3 * starts(well) > 0
    assert max(column(ill, "temperature_c")) < 8


def test_a_power_cut_shows_in_every_device_of_a_site() -> None:
    """Meter, fridge, pump and solar bank of a site feel the same cut."""
    cut = on("mains-off", (4, 8), 0.5)
    during = (4.0, 8.0)
    meter = play(device_of("power"), cut, hours=9)
    assert set(column(meter, "mains_v", during)) == {0.0}
    assert set(column(meter, "mains_on", during)) == {0.0}
    assert set(column(meter, "current_a", during)) == {0.0}
    assert column(meter, "frequency_hz", during) == []
    energy = column(meter, "energy_kwh", during)
    assert energy[0] == energy[-1]
    assert set(column(play(device_of("cold-chain"), cut, hours=9), "mains_on", during)) == {0.0}
    assert set(column(play(device_of("water-level"), cut, hours=9), "pump_on", during)) == {0.0}
    solar = device_of("solar")
    more, usual = (column(play(solar, *e, hours=9), "load_w", during) for e in ((cut,), ()))
    assert statistics.mean(more) > 1.3 * statistics.mean(usual)


def test_sites_of_one_feeder_share_its_voltage() -> None:
    """Voltages of two sites move together on one feeder, and apart on two."""

    def volts(feeder: str, site: str) -> list[float]:
        place = replace(REGISTRY.sites["hospital-1"], site=site, feeder=feeder)
        device = replace(device_of("power"), device=f"power-{site}")
        rounds = play(device, site=place, hours=48, step_ms=300_000)
        return column(rounds, "mains_v")

    assert statistics.correlation(volts("VT-F1", "a"), volts("VT-F1", "b")) > 0.85
    steps = [
        [after - before for before, after in itertools.pairwise(column[::12])]
        for column in (volts("VT-F1", "a"), volts("VT-F1", "b"), volts("VT-F2", "b"))
    ]
    near, far = (statistics.correlation(steps[0], other) for other in steps[1:])
    assert near > far


def test_neighbours_share_the_weather_and_distant_places_do_not() -> None:
    """It rains at both ends of a town at once, while the other end of the country has its own."""
    here = replace(REGISTRY.sites["hospital-1"], lat=17.97, lon=102.6)
    near = replace(here, lat=17.99, lon=102.62)
    far = replace(here, province="LA-AT", district="samakkhixay", lat=14.81, lon=106.83)
    times = range(RAINS_MS, RAINS_MS + 60 * DAY_MS, 600_000)
    rain = [[sky_over(5, site).rain(at_ms) for at_ms in times] for site in (here, near, far)]
    assert sum(value > 0 for value in rain[0]) > 20
    assert statistics.correlation(rain[0], rain[1]) > 0.9
    assert statistics.correlation(rain[0], rain[2]) < 0.3
    spells = [[sky_over(5, site).spell_c(at_ms) for at_ms in times] for site in (here, near, far)]
    assert spells[0] == spells[1]
    assert statistics.correlation(spells[0], spells[2]) < 0.5


def test_storms_are_seldom_in_the_dry_season() -> None:
    """August has many times the storms of January."""

    def storms(first_day: int) -> int:
        return sum(len(storms_of(3, "LA-LP", day)) for day in range(first_day, first_day + 31))

    assert storms(20_666) > 5 * storms(20_454) >= 0


def test_rain_cools_the_air_wets_it_and_darkens_the_panel() -> None:
    """In the rain neighbouring devices agree: cooler, moister, less sun."""
    site = REGISTRY.sites["hospital-1"]
    sky = sky_over(1, site)
    noons = [RAINS_MS + d * DAY_MS + m * 60_000 for d in range(90) for m in range(180, 420, 10)]
    at_ms = max(noons, key=sky.rain)
    assert sky.rain(at_ms) > 0.3
    first_ms = at_ms - 6 * HOUR_MS
    street = play(device_of("air-quality"), start_ms=first_ms, hours=7)
    dry = play(device_of("air-quality"), start_ms=first_ms, hours=7, seed=2)
    raining = (5.9, 6.2)
    assert sky_over(2, site).rain(at_ms) == 0
    assert statistics.mean(column(street, "humidity_pct", raining)) > 80
    cold, warm = (statistics.mean(column(r, "temperature_c", raining)) for r in (street, dry))
    assert cold < warm - 1
    bright, dark = (
        sum(
            column(play(device_of("solar"), start_ms=first_ms, hours=7, seed=seed), "pv_w", raining)
        )
        for seed in (2, 1)
    )
    assert dark < bright


def test_a_district_breathes_the_same_dust() -> None:
    """Two stations of a district rise and fall together over a week."""
    device = device_of("air-quality")
    other = replace(device, device="air-2")
    one, two = (
        column(play(d, hours=7 * 24, step_ms=1_800_000), "pm2_5_ugm3") for d in (device, other)
    )
    assert statistics.correlation(one, two) > 0.6


def test_the_burning_season_of_the_north_is_heavy() -> None:
    """In late March the north has hours above 100 ug/m3, in August none."""
    north = replace(REGISTRY.sites["hospital-1"], province="LA-LM", district="namtha",
                    lat=21.0, lon=101.4)  # fmt: skip
    hot, wet = (
        column(play(device_of("air-quality"), site=north, start_ms=first_ms, hours=96,
                    step_ms=600_000), "pm2_5_ugm3")
        for first_ms in (START_MS + 22 * DAY_MS, RAINS_MS)
    )  # fmt: skip
    assert sum(value > 100 for value in hot) > 0.2 * len(hot)
    assert max(wet) < 100


@pytest.mark.parametrize(
    ("kind", "effect", "metric", "limits"),
    [
        ("power", on("sag", (2, 24), 45.0), "mains_v", (140, 207)),
        ("power", on("surge", (2, 24), 50.0), "mains_v", (245, 300)),
        ("power", on("genset", (2, 24), 1.0), "mains_v", (200, 250)),
        ("solar", on("panel-dead", (0, 24)), "pv_w", (0, 0)),
        ("water-quality", on("chlorine-off", (0, 24), 1.0), "chlorine_mgl", (0, 0.1)),
        ("water-quality", on("overdose", (2, 24), 6.0), "chlorine_mgl", (5, 8)),
        ("water-quality", on("ph-shift", (0, 24), 2.0), "ph", (8.5, 10)),
        ("water-quality", on("mud", (0, 24), 40.0), "turbidity_ntu", (20, 70)),
        ("water-quality", on("in-air", (2, 24)), "conductivity_uscm", (0, 10)),
        ("air-quality", on("fan-stall", (2, 24)), "pm2_5_ugm3", (0, 4)),
        ("presence", on("flood", (2, 24)), "water_present", (1, 1)),
    ],
)
def test_a_condition_has_its_signature(
    kind: str, effect: Effect, metric: str, limits: tuple[float, float]
) -> None:
    """While it lasts the metric is where the condition takes it, and outside before."""
    values = column(play(device_of(kind), effect), metric, (5, 24))
    assert limits[0] <= min(values) <= max(values) <= limits[1]
    well = column(play(device_of(kind)), metric, (5, 24))
    if effect.what != "genset":
        assert not all(limits[0] <= value <= limits[1] for value in well)


def test_a_generator_wobbles_and_the_grid_does_not() -> None:
    """The frequency leaves 49 to 51 Hz under a bad governor, never on the grid, nor in a test."""
    bad, test, grid = (
        column(play(device_of("power"), *effects), "frequency_hz")
        for effects in ((on("genset", (0, 24), 1.0),), (on("genset", (0, 24), 0.05),), ())
    )
    assert sum(not 49 <= hz <= 51 for hz in bad) > 0.2 * len(bad)
    assert sum(not 49 <= hz <= 51 for hz in test) == 0
    assert statistics.pstdev(test) > 3 * statistics.pstdev(grid)


def test_a_tank_without_its_pump_runs_dry_and_its_users_with_it() -> None:
    """The level falls to nothing, then there is no flow and hardly pressure; never below zero."""
    rounds = play(device_of("water-level"), on("pump-dead", (0, 40)), hours=48)
    assert set(column(rounds, "pump_on", (0, 40))) == {0.0}
    assert max(column(rounds, "level_m", (36, 40))) < 0.05
    assert max(column(rounds, "flow_m3h", (36, 40))) < 0.05
    assert max(column(rounds, "pressure_bar", (36, 40))) < 1
    assert min(column(rounds, "level_m")) >= 0
    assert column(rounds, "level_m")[-1] > 0.3  # the pump fills it again


def test_a_pump_that_runs_dry_says_that_it_runs() -> None:
    """The pump is on and the level falls all the same."""
    rounds = play(device_of("water-level"), on("pump-dry", (0, 24)))
    empty = [at for at, values in rounds if float(values["level_m"] or 0) < 0.1]
    assert empty
    assert set(column(rounds, "pump_on", (20, 24))) == {1.0}


def test_a_tank_overflows_at_its_rim() -> None:
    """With a float that hangs the pump fills to the height of the tank and no further."""
    rounds = play(device_of("water-level"), on("float-stuck", (0, 24)), hours=24)
    assert 3.95 < max(column(rounds, "level_m")) <= 4.0
    assert set(column(rounds, "pump_on", (20, 24))) == {1.0}


def test_a_leak_is_seen_at_night() -> None:
    """The flow at 2 h is at least twice the usual; at a school, which has none, any flow is."""
    school = replace(REGISTRY.sites["hospital-1"], site_class="school")
    night = (18.0, 20.0)  # from 1 to 3 h local
    tank = device_of("water-level")
    leaking, usual = (
        column(play(tank, *effects), "flow_m3h", night)
        for effects in ((on("leak", (0, 24), 0.5),), ())
    )
    assert min(leaking) > 1.8 * max(usual)
    leaking, usual = (
        column(play(tank, *effects, site=school), "flow_m3h", night)
        for effects in ((on("leak", (0, 24), 0.5),), ())
    )
    assert max(usual) == 0 < min(leaking)


def test_cleaning_a_tank_leaves_a_quarter() -> None:
    """A cleaned tank never looks dry."""
    rounds = play(device_of("water-level"), on("cleaning", (2, 6)), hours=12)
    assert 0.9 < min(column(rounds, "level_m")) < 1.3


def test_an_ageing_bank_falls_deeper_every_night() -> None:
    """The night's lowest voltage falls while the days still fill the bank."""
    effect = Effect("bank-aged", START_MS, START_MS + 10 * DAY_MS, 0.9, "ramp")
    rounds = play(device_of("solar"), effect, hours=240, step_ms=300_000)
    lowest = [min(column(rounds, "battery_v", (d * 24 + 11, d * 24 + 24))) for d in range(10)]
    assert lowest[9] < lowest[5] - 0.1 < lowest[1] - 0.1
    assert max(column(rounds, "battery_v", (9 * 24, 240))) > 13


def test_a_bank_without_a_panel_is_disconnected() -> None:
    """Without its panel the bank falls to the regulator's mark, and the load goes off."""
    effect = Effect("panel-dead", START_MS, START_MS + 6 * DAY_MS, 1.0)
    rounds = play(device_of("solar"), effect, hours=144, step_ms=300_000)
    assert column(rounds, "battery_v", (140, 144))[-1] < 12
    assert column(rounds, "load_w", (140, 144))[-1] == 0
    assert max(column(rounds, "pv_v")) < 2


@pytest.mark.parametrize("first_ms", [START_MS, RAINS_MS])
def test_a_healthy_bank_survives_the_season(first_ms: int) -> None:
    """No load is cut off in two weeks of sun, nor of rain."""
    for seed in range(6):
        device = device_of("solar")
        rounds = play(device, start_ms=first_ms, hours=336, step_ms=600_000, seed=seed)
        assert min(column(rounds, "load_w")) > 0
        assert min(column(rounds, "battery_v")) > 11.6


def test_co2_tells_a_stuffy_room_from_a_wrong_baseline() -> None:
    """People without fresh air pass 1500 ppm by day; a wrong baseline lies below the outdoors."""
    room = device_of("environment")
    stuffy = play(room, on("stuffy", (0, 24), 0.8))
    assert max(column(stuffy, "co2_ppm")) > 1100
    assert max(column(stuffy, "co2_ppm")) > 1.5 * max(column(play(room), "co2_ppm"))
    wrong = play(room, on("co2-baseline", (0, 24), -100.0))
    assert min(column(wrong, "co2_ppm")) < 380


def test_a_storm_brings_a_little_mud() -> None:
    """After heavy rain the water is muddier than before, and stays below 5 NTU."""
    sky = sky_over(1, REGISTRY.sites["hospital-1"])
    at_ms = max(range(RAINS_MS, RAINS_MS + 60 * DAY_MS, 600_000), key=sky.rain)
    first_ms = at_ms - 12 * HOUR_MS
    rounds = play(device_of("water-quality"), start_ms=first_ms, hours=18)
    before, after = (column(rounds, "turbidity_ntu", hours) for hours in ((6, 11), (12.5, 14)))
    assert statistics.median(after) > 1.4 * statistics.median(before)
    assert max(column(rounds, "turbidity_ntu")) < 5


def test_effects_are_on_from_start_to_end() -> None:
    """An effect covers its start, not its end; one that ramps grows evenly."""
    effects = Effects(
        [Effect("sag", 100, 200, 5.0), Effect("drift", 150, 250, 10.0, "ramp"),
         Effect("stuck", 100, 200, 1.0, "flat", "mains_v")]
    )  # fmt: skip
    assert dict(effects.at(99)) == {}
    assert dict(effects.at(100)) == {"sag": 5.0}
    assert dict(effects.at(199)) == {"sag": 5.0, "drift": pytest.approx(4.9)}
    assert dict(effects.at(200)) == {"drift": 5.0}
    assert dict(effects.at(250)) == {}
    assert dict(effects.at(120)) == {"sag": 5.0}
