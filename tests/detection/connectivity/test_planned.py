"""Planned work: which bins it leaves out of the account, of which sites, and since when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from detection.muting import Excluded, Reach, ReachType, Window, planned_work
from detection.outages import BIN_MS
from tests.detection.connectivity.world import GOOD, START_MS, Say, World, probe, site

HOUR_S, BIN_S = 3600, BIN_MS // 1000
# The world begins at a whole bin, so that a bin's number is its place.
assert START_MS % BIN_MS == 0


def rounds(device: str, first_s: int, last_s: int) -> list[Say]:
    """A good round every minute, each a second on its way."""
    return [Say(at + 1, device, at, GOOD) for at in range(first_s, last_s, 60)]


def heard(hours: int) -> World:
    """Two sites whose probes were heard all the time."""
    world = World([site("s1"), site("s2")], [probe("p1", "s1"), probe("p2", "s2")])
    said = [*rounds("p1", 0, hours * HOUR_S), *rounds("p2", 0, hours * HOUR_S)]
    return world.play(said, hours * HOUR_S)


def window(first_s: int, last_s: int, reach: ReachType = "site", name: str = "s1") -> Window:
    """Maintenance of that time."""
    times = (START_MS + first_s * 1000, START_MS + last_s * 1000)
    return Window("w1", "maintenance", Reach(reach, name), *times, "S. Vong", "a new router")


def plan(world: World, *windows: Window) -> None:
    """Tell the world of exactly these windows."""
    world.connectivity.plan(planned_work(windows, world.registry.sites))


def test_bins_that_work_covers_by_more_than_half_do_not_count() -> None:
    """They are published once, as EXCLUDED, with the window; other sites and bins are as ever."""
    world = World([site("s1"), site("s2")], [probe("p1", "s1"), probe("p2", "s2")])
    plan(world, window(2 * BIN_S - 151, 5 * BIN_S + 150))
    said = [*rounds("p1", 0, HOUR_S), *rounds("p2", 0, HOUR_S)]
    world.play(said, HOUR_S)
    assert world.states()[:7] == ["UP", *["EXCLUDED"] * 4, "UP", "UP"]
    assert set(world.states("s2")) == {"UP"}
    assert {one.revision for one in world.published} == {1}
    assert [one.excluded_by for one in world.published if one.state == "EXCLUDED"] == ["w1"] * 4
    assert all(one.excluded_by is None for one in world.published if one.state == "UP")


def test_work_that_is_announced_late_revises_bins_and_taking_it_back_does_too() -> None:
    """Each time with a revision more, and only those bins."""
    world = heard(1)
    world.published.clear()
    plan(world, window(BIN_S, 3 * BIN_S))
    plan(world, window(BIN_S, 3 * BIN_S))
    world.tick(world.now_ms + 10_000)
    assert [(b.site, b.state, b.revision) for b in world.published] == [("s1", "EXCLUDED", 2)] * 2
    world.published.clear()
    plan(world)
    world.tick(world.now_ms + 10_000)
    assert [(b.site, b.state, b.revision, b.excluded_by) for b in world.published] == [
        ("s1", "UP", 3, None)
    ] * 2


def test_work_that_ends_early_changes_no_bin_that_was_published() -> None:
    """What is behind the end counts again; nothing is revised."""
    world = World([site("s1")], [probe("p1", "s1")])
    plan(world, window(BIN_S, 11 * BIN_S))
    said = list(rounds("p1", 0, HOUR_S))
    world.play([one for one in said if one.received_s < 5 * BIN_S], 5 * BIN_S)
    plan(world, window(BIN_S, 5 * BIN_S))
    world.play([one for one in said if one.received_s >= 5 * BIN_S], HOUR_S)
    assert world.states()[:8] == ["UP", *["EXCLUDED"] * 4, "UP", "UP", "UP"]
    assert {one.revision for one in world.published} == {1}


def test_a_snapshot_keeps_what_is_planned() -> None:
    """Whoever goes on from it leaves out the same, and is not surprised to hear of it again."""
    world = heard(1)
    plan(world, window(BIN_S, 3 * BIN_S), window(0, HOUR_S * 4, "country", ""))
    kept = world.connectivity.snapshot()
    other = World(world.sites, world.devices)
    other.connectivity.restore(kept)
    plan(other, window(BIN_S, 3 * BIN_S), window(0, HOUR_S * 4, "country", ""))
    assert other.connectivity.snapshot() == kept
    later_ms = world.now_ms + 600_000
    for one in (world, other):
        one.published.clear()
        one.tick(later_ms)
    assert other.published == world.published
    assert len({b.excluded_by for b in world.published if b.site == "s1"}) == 1


@pytest.mark.parametrize(
    ("reach", "name", "inside"),
    [
        ("country", "", None),
        ("province", "LA-LP", ("both", "one")),
        ("province", "LA-VT", ()),
        ("district", "LA-LP/luangprabang", ("both", "one")),
        ("site", "one", ("one",)),
        ("agency", "moha", ("both", "one")),
        ("provider", "LTC", ("one",)),
        ("provider", "ETL", ()),
        ("feeder", "F1", ("both",)),
        ("device", "p1", ()),
        ("rule", "silence", ()),
    ],
)
def test_planned_work_lies_where_its_scope_does(
    reach: ReachType, name: str, inside: tuple[str, ...] | None
) -> None:
    """A site that another provider reaches too is expected to be up; a device is no site."""
    (uplink,) = site("one").uplinks[:1]
    ways = (replace(uplink, provider="LTC"), replace(uplink, provider="ETL"))
    one = replace(site("one"), uplinks=ways[:1])
    both = replace(site("both"), uplinks=ways, feeder="F1")
    found = planned_work([window(0, 60, reach, name)], {"one": one, "both": both})
    times = (START_MS, START_MS + 60_000)
    assert found == ([] if inside == () else [Excluded("w1", *times, inside)])
    silence = window(0, 60, reach, name)._replace(kind="silence")
    assert planned_work([silence], {"one": one, "both": both}) == []
