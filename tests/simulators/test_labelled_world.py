"""A generated world: complete, labelled, in order of arrival, the same for the same seed."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest

from devices.kinds import KINDS
from devices.registry_files import read_registry
from devices.wire import decode
from runtime.settings import Settings
from simulators.command import add_arguments, run
from simulators.decoys import DECOYS
from simulators.everything import World, season_start_ms
from simulators.failure_modes import MODES
from simulators.group_modes import GROUP_MODES
from simulators.made_country import made_country
from simulators.mishaps import Mishap
from simulators.schedule import APART_MS
from simulators.sessions import SURVIVES_MS, WILL_MS, sessions
from simulators.weather import wet_spells
from simulators.world.chance import stream
from tests.simulators.country import START_MS
from tests.simulators.made import country, play, troubled

DAY_MS = 86_400_000


def world(seed: int = 7, *, sites: int = 24, days: float = 1.0) -> World:
    start_ms = season_start_ms(seed)
    end_ms = start_ms + round(days * DAY_MS)
    registry = made_country(seed, sites, 3 * sites)
    return World.of(registry, seed=seed, start_ms=start_ms, end_ms=end_ms)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("world")
    world().write(directory, lambda reached_ms, messages: None)
    return directory


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    written: Path, tmp_path: Path
) -> None:
    """All five files are a function of seed, sizes and times."""
    world().write(tmp_path / "again", lambda reached_ms, messages: None)
    world(8).write(tmp_path / "other", lambda reached_ms, messages: None)
    names = sorted(file.name for file in written.iterdir())
    assert names == ["capture.jsonl", "decoys.jsonl", "devices.csv", "sites.csv", "truth.jsonl"]
    for name in names:
        assert (written / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
        assert (written / name).read_bytes() != (tmp_path / "other" / name).read_bytes()


def test_the_capture_is_in_order_of_arrival_and_inside_the_run(written: Path) -> None:
    """Times never go back, and none lies beyond the end; retained births come first."""
    captured = lines(written / "capture.jsonl")
    times = [line["at"] for line in captured]
    assert all(before <= after for before, after in pairwise(times))
    assert times[-1] < season_start_ms(7) + DAY_MS
    retained = [line for line in captured if line.get("retained")]
    assert retained == captured[: len(retained)]
    assert len(retained) == len(read_registry([written]).devices)


def test_everything_said_is_understood(written: Path) -> None:
    """No payload has a part that the platform would refuse, but for impossible values."""
    devices = read_registry([written]).devices
    seen: Counter[str] = Counter()
    for line in lines(written / "capture.jsonl"):
        *_, device, channel = line["topic"].split("/")
        seen[channel] += 1
        if channel != "status":
            kind = KINDS[devices[device].kind]
            message = decode(line["payload"].encode(), kind, line["at"])
            assert message.rounds
            assert not message.refusals
    assert min(seen["telemetry"], seen["status"], seen["backfill"]) > 20


def test_the_truth_names_its_devices_and_sites(written: Path) -> None:
    """Every line has the contract's keys, known ids, and a window inside the run."""
    registry = read_registry([written])
    start_ms = season_start_ms(7)
    keys = {"fault", "type", "nature", "scope", "cause", "devices", "sites", "metric"}
    for name in ("truth.jsonl", "decoys.jsonl"):
        labels = lines(written / name)
        assert len({label["fault"] for label in labels}) == len(labels) > 10
        for label in labels:
            assert keys | {"start", "end"} <= set(label)
            assert start_ms <= label["start"] < label["end"] <= start_ms + DAY_MS
            assert label["devices"]
            assert {registry.devices[d].site for d in label["devices"]} == set(label["sites"])
            assert (label["nature"] == "decoy") == (name == "decoys.jsonl")


def test_a_big_world_has_every_failure_mode_and_every_decoy() -> None:
    """In a hundred sites and fourteen days nothing is left out, facilities included."""
    registry = made_country(3, 100, 400)
    start_ms = season_start_ms(3)
    whole = World.of(registry, seed=3, start_ms=start_ms, end_ms=start_ms + 14 * DAY_MS)
    types = {trouble.type for trouble in whole.troubles}
    assert types == set(MODES) | set(GROUP_MODES)
    assert {decoy.type for decoy in whole.decoys} == {decoy.type for decoy in DECOYS}
    assert len({event.type for event in whole.events}) > 20
    assert len(registry.sites) == 100
    assert len(registry.devices) == 400
    assert {60.0, 300.0} < {device.interval_s for device in registry.devices.values()}


def test_no_site_has_two_troubles_at_once() -> None:
    """Between two troubles of a site lie two hours, so that each has an end of its own."""
    times: dict[str, list[tuple[int, int]]] = {}
    for trouble in world(4, sites=40, days=6).troubles:
        for site in trouble.sites:
            times.setdefault(site, []).append((trouble.start_ms, trouble.end_ms))
    assert any(len(found) > 1 for found in times.values())
    for found in times.values():
        for one, other in combinations(found, 2):
            assert one[1] + APART_MS <= other[0] or other[1] + APART_MS <= one[0]


def test_who_is_hit_tells_a_group_from_others() -> None:
    """A province in the truth is no district, and a district is neither a provider nor it all."""
    registry = made_country(3, 100, 100)
    groups = [t for t in world(3, sites=100, days=14).troubles if len(t.sites) > 1]
    assert {t.scope[0] for t in groups} >= {"province", "district", "provider"}
    for trouble in groups:
        sites = [registry.sites[name] for name in trouble.sites]
        if trouble.scope[0] == "province":
            assert len({site.district for site in sites}) > 1
        if trouble.scope[0] == "district":
            assert len({site.uplinks[0].provider for site in sites}) > 1
        if trouble.scope[0] == "provider":
            assert len({site.province for site in sites}) > 1


def test_storms_fade_dishes_where_it_rains() -> None:
    """In the rains some fades lie inside wet spells of their own site."""
    start_ms = START_MS + 155 * DAY_MS
    registry = made_country(6, 80, 80)
    whole = World.of(registry, seed=6, start_ms=start_ms, end_ms=start_ms + 8 * DAY_MS)
    fades = [t for t in whole.troubles if t.fault.startswith("rain-") and len(t.sites) == 1]
    stormy = [t for t in fades if t.fault.rsplit("-", 1)[1].isdigit() and len(t.fault) > 20]
    assert stormy
    for trouble in stormy:
        site = registry.sites[trouble.sites[0]]
        assert site.uplinks[0].link_type.startswith("vsat")
        spells = wet_spells(6, site, start_ms, whole.end_ms, 0.2)
        assert any(s.start_ms <= trouble.start_ms < s.end_ms for s in spells)


def test_a_short_break_only_delays() -> None:
    """A break that TCP survives has no Will; a longer one has it 90 s after the last word."""
    draw = stream(1, "test")
    short = Mishap("offline", 1_000_000, 1_000_000 + SURVIVES_MS - 1)
    long = Mishap("offline", 2_000_000, 2_300_000)
    gaps = sessions([short, long], [0], draw).gaps
    assert [gap.delay for gap in gaps] == [True, False]
    assert gaps[0].will_ms is None
    assert gaps[1].will_ms is not None
    assert 2_000_000 <= gaps[1].will_ms <= 2_000_000 + WILL_MS
    assert gaps[1].back_ms > 2_300_000


def test_a_round_that_a_decoy_loses_is_the_only_one() -> None:
    """Around a trouble of nothing the numbering has no gap."""
    played = play(troubled("slow-uplink"), hours=4)
    told = [r["seq"] for h in played.of(played.probe) for r in h.rounds()]
    assert told == list(range(told[0], told[0] + len(told)))
    interval_s = country().devices[played.probe].interval_s
    assert interval_s * len(told) == pytest.approx(4 * 3600, rel=0.1)


def test_the_command_writes_a_world_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line of output counts what was written."""
    assert call("--world", "everything", "--no-broker", "--seed", "9", "--sites", "6",
                "--devices", "20", "--days", "0.25", "--out", str(tmp_path)) == 0  # fmt: skip
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["sites"], said["devices"]) == (6, 20)
    assert said["messages"] == len(lines(tmp_path / "capture.jsonl"))
    assert said["faults"] == len(lines(tmp_path / "truth.jsonl"))


def test_a_scenario_is_written_as_a_world(tmp_path: Path) -> None:
    """Only what the scenario names happens: a link, a value and a fridge, all in the truth."""
    scenario = tmp_path / "three.yaml"
    scenario.write_text(
        """
faults:
  - {fault: link, type: last-mile-cut, select: {count: 1}, start: 1h, duration: 1h}
  - {fault: value, type: level-shift, select: {kind: environment}, metric: co2_ppm, size: 900,
     start: 1h, duration: 1h}
  - {fault: fridge, type: fridge-door-ajar, select: {kind: cold-chain}, start: 1h, duration: 2h}
""",
        "utf-8",
    )
    out = tmp_path / "out"
    assert call("--world", "scenario", "--scenario", str(scenario), "--no-broker", "--sites", "12",
                "--duration", "4h", "--out", str(out)) == 0  # fmt: skip
    truth = {line["fault"]: line for line in lines(out / "truth.jsonl")}
    assert set(truth) == {"link", "value", "fridge"}
    assert lines(out / "decoys.jsonl") == []
    assert truth["link"]["down"] is True
    shifted = truth["value"]
    co2 = [
        (said["ts"], said["m"]["co2_ppm"])
        for line in lines(out / "capture.jsonl")
        if f"/{shifted['devices'][0]}/telemetry" in line["topic"]
        and "co2_ppm" in (said := json.loads(line["payload"]))["m"]
    ]
    inside = [v for at, v in co2 if shifted["start"] <= at < shifted["end"]]
    assert min(inside) > 1200 > max(v for at, v in co2 if at < shifted["start"])


def test_a_world_refuses_faults_that_only_a_broker_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text names the fault, its type and what to use instead."""
    scenario = tmp_path / "one.yaml"
    scenario.write_text(
        "faults: [{fault: s, type: silence, select: {count: 1}, start: 1h, duration: 1h}]", "utf-8"
    )
    assert call("--world", "scenario", "--scenario", str(scenario), "--no-broker", "--sites", "3",
                "--duration", "4h", "--out", str(tmp_path / "out")) == 2  # fmt: skip
    assert "s is a silence, which is played to a broker only" in capsys.readouterr().err


def test_a_repeated_backlog_is_said_twice_word_for_word() -> None:
    """What arrived live comes again as backfill, with the same numbers, times and values."""
    trouble = troubled("slow-uplink")
    device = trouble.devices[0]
    repeat = Mishap("repeat", trouble.start_ms, trouble.end_ms)
    played = play(replace(trouble, mishaps={device: [repeat]}), hours=6)
    live = {r["seq"]: r for h in played.of(device, "telemetry") for r in h.rounds()}
    again = [r for h in played.of(device, "backfill") for r in h.rounds()]
    assert len({r["seq"] for r in again}) > 10
    for said in again:
        first = live[said["seq"]]
        assert (said["ts"], said["m"]) == (first["ts"], first["m"])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--world", "everything"], "--world needs --no-broker and --out DIR"),
        (["--days", "2"], "--out, --devices and --days go with --world"),
        (["--world", "everything", "--no-broker", "--out", "x", "--sites", "9", "--devices", "3"],
         "9 sites with 3 devices"),
    ],
)  # fmt: skip
def test_wrong_calls_say_what_to_do(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options that do not fit together are refused in words."""
    assert call(*options) == 2
    assert told in capsys.readouterr().err


def call(*options: str) -> int:
    parser = ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(options), Settings())
