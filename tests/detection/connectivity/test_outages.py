"""Outages: what is silent, since when, how far it reaches, and what late data make of it."""

from __future__ import annotations

import pytest

from detection.outages import Outage
from tests.detection.connectivity.world import (
    GOOD,
    NO_LINK,
    START_MS,
    Say,
    World,
    cut_off,
    living,
    probe,
    sensor,
    site,
)

HOUR = 3600.0
CUT, BACK, END = HOUR, 2 * HOUR, 4 * HOUR


def seconds(at_ms: int | None) -> float:
    """Seconds since the start of the world."""
    assert at_ms is not None
    return (at_ms - START_MS) / 1000


def only(world: World) -> Outage:
    """The one outage that there was."""
    (outage,) = world.outages.values()
    return outage


def first(world: World) -> tuple[float, Outage]:
    """When the first outage was known, and what was known then."""
    at_ms, outage = world.history[0]
    return seconds(at_ms), outage


@pytest.mark.parametrize("interval_s", [60, 120, 300])
def test_a_cut_site_is_known_within_three_intervals(interval_s: float) -> None:
    """Site dark: one outage, told within three intervals, ended at the first good measurement."""
    p = probe(interval_s=interval_s)
    said = living(p, 0, CUT) + living(p, BACK, END)
    world = World([site()], [p]).play(said, END)
    known_s, told = first(world)
    assert known_s <= CUT + 3 * interval_s + 15
    assert (told.scope, told.uplink, told.phase) == ("site", 0, "live")
    last_good = CUT - interval_s + 7
    assert seconds(told.onset_ms) == last_good + interval_s / 2
    assert told.error_ms == interval_s * 500
    outage = only(world)
    assert (outage.phase, seconds(outage.ended_ms)) == ("settled", BACK + 7)
    assert seconds(outage.returned_ms) <= BACK + 7 + 15


@pytest.mark.parametrize("batch", [1, 1000])
def test_a_device_with_a_wrong_clock_is_in_touch(batch: int) -> None:
    """Its rounds are of no time, but a site from which they come is not down meanwhile."""
    p = probe()
    wrong = [say._replace(misdated=True, at_s=say.at_s - 10**8) for say in living(p, CUT, BACK)]
    said = [*living(p, 0, CUT), *wrong, *living(p, BACK, END)]
    world = World([site()], [p], batch).play(said, END)
    assert world.outages == {}
    assert set(world.states()) == {"UP"}
    lost = [say for say in said if not CUT + 600 <= say.received_s < BACK]
    cut = World([site()], [p], batch).play(lost, END)
    assert seconds(only(cut).ended_ms) == BACK + 7
    n = int(CUT + 600) // 300
    assert cut.states()[n - 1 : n + 2] == ["UP", "DOWN", "DOWN"]


def test_a_will_shortens_the_wait() -> None:
    """The broker's word that the session broke is believed a little before three intervals."""
    p = probe(interval_s=300)
    said = [Say(1, "p1", 1, online=True), *living(p, 0, CUT), Say(CUT + 90, "p1", 0, online=False)]
    world = World([site()], [p]).play(said, END)
    known_s, told = first(world)
    assert known_s == 3920  # two intervals and 5 s after the last word, the next tick
    assert told.evidence.will
    assert seconds(told.onset_ms) == CUT - 293 + 150  # the last measurement, not the Will


def test_a_short_disconnect_is_no_outage() -> None:
    """A session that breaks for less than two intervals and delivers late is not an outage."""
    p = probe()
    gap = [Say(CUT + 115, "p1", at, NO_LINK) for at in (CUT + 7, CUT + 67)]
    wills = [Say(1, "p1", 1, online=True), Say(CUT + 92, "p1", 0, online=False)]
    said = wills + living(p, 0, CUT) + gap + [Say(CUT + 114, "p1", CUT + 114, online=True)]
    world = World([site()], [p]).play(said + living(p, CUT + 120, END), END)
    assert world.outages == {}
    assert set(world.states()) == {"UP"}


def test_a_probe_that_fails_before_its_site_does_not_end_the_outage() -> None:
    """Its last round found nothing, a sensor was still heard: the site went dark only then."""
    p, t = probe(interval_s=300), sensor(interval_s=60)
    dying = [Say(BACK + 10, "p1", CUT + 7, NO_LINK)]
    said = [*living(p, 0, CUT), *living(t, 0, CUT + 60, phase_s=33), *dying]
    said += [*cut_off(t, CUT + 60, BACK, phase_s=33), *living(t, BACK, END, phase_s=33)]
    world = World([site()], [p, t]).play(said + living(p, BACK, END, boot="b"), END)
    outage = only(world)
    assert (seconds(outage.onset_ms), seconds(outage.ended_ms)) == (CUT + 63, BACK + 5)
    n = int(CUT) // 300
    assert world.states()[n : n + 14] == ["DOWN"] * 12 + ["UP"] * 2


def failed_once(arrives_s: float, *at_s: float) -> list[str]:
    """States around a time in which a probe of five minutes, good as ever else, failed."""
    p = probe(interval_s=300)
    said = [say for say in living(p, 0, END) if not CUT <= say.at_s < arrives_s]
    said += [Say(arrives_s + n, "p1", at, NO_LINK) for n, at in enumerate(at_s)]
    world = World([site()], [p]).play(said, END)
    assert world.outages == {}
    n = int(CUT) // 300
    return world.states()[n - 1 : n + 3]


def test_one_failed_round_of_a_time_in_which_the_site_was_heard_is_no_bin_down() -> None:
    """A short break falls into the one round of a bin; a longer one leaves a bin without a word."""
    assert failed_once(CUT + 60, CUT + 7) == ["UP"] * 4
    assert failed_once(CUT + 320, CUT + 7, CUT + 307)[1] == "DOWN"
    assert failed_once(CUT + 280, CUT + 7, CUT + 127)[1] == "DOWN"  # and so do two failed rounds


def test_a_single_lost_round_is_nothing() -> None:
    """One round that never comes changes neither outages nor bins."""
    p = probe()
    said = [say for say in living(p, 0, END) if say.at_s != 3607]
    world = World([site()], [p]).play(said, END)
    assert world.outages == {}
    assert set(world.states()) == {"UP"}


def test_another_device_alive_on_the_uplink_means_the_probe() -> None:
    """Probe dead, link alive: scope is the device, and the site stays up."""
    p, t = probe(), sensor(interval_s=60)
    said = living(p, 0, CUT) + living(t, 0, END, phase_s=33)
    world = World([site()], [p, t]).play(said, END)
    outage = only(world)
    assert (outage.scope, outage.devices, outage.phase) == ("device", ("p1",), "live")
    assert outage.evidence.others_alive
    assert set(world.states()) == {"UP"}


def test_a_slow_sensor_that_speaks_later_narrows_the_outage_to_the_probe() -> None:
    """Until the sensor is due the site counts as dark; then the same outage is the probe's."""
    p, t = probe(), sensor(interval_s=300)
    said = living(p, 0, CUT) + living(t, 0, END, phase_s=299)
    world = World([site()], [p, t]).play(said, END)
    _, told = first(world)
    assert told.scope == "site"
    outage = only(world)
    assert (outage.outage, outage.scope, outage.devices) == (told.outage, "device", ("p1",))
    assert set(world.states()) == {"UP"}


def test_a_slow_sensor_that_speaks_first_when_all_return_ends_the_outage() -> None:
    """The sensor is heard a minute before the probe: the site was dark, and is back."""
    p, t = probe(), sensor(interval_s=900)
    said = living(p, 0, CUT) + living(t, 0, CUT, phase_s=20)
    said += living(p, CUT + 660, END) + living(t, CUT + 600, END, phase_s=620)
    outage = only(World([site()], [p, t]).play(said, END))
    assert (outage.scope, outage.phase) == ("site", "settled")
    assert 600 <= seconds(outage.ended_ms) - CUT <= 680


def test_a_session_that_did_not_break_proves_life() -> None:
    """Only the probe got a Will; the sensor's session lives on: the probe, at once."""
    p, t = probe(), sensor(interval_s=900)
    said = [Say(1, "p1", 1, online=True), Say(2, "t1", 2, online=True)]
    said += living(p, 0, CUT) + living(t, 0, END, phase_s=650)
    said += [Say(CUT + 80, "p1", 0, online=False)]
    world = World([site()], [p, t]).play(said, END)
    assert {outage.scope for _, outage in world.history} == {"device"}


def test_a_device_of_the_other_uplink_alive_means_the_uplink() -> None:
    """Two uplinks, one dark: scope is that uplink, and the site is up over its backup."""
    p, b = probe(), probe("p2", uplink=2)
    said = living(p, 0, CUT) + living(b, 0, END, phase_s=31) + living(p, BACK, END)
    world = World([site(links=("fibre", "4g"))], [p, b]).play(said, END)
    outage = only(world)
    assert (outage.scope, outage.uplink, outage.devices) == ("uplink", 1, ("p1",))
    assert outage.evidence.other_uplink_alive
    backup = [b.on_backup for b in world.bins.values()]
    assert set(world.states()) == {"UP"}
    assert backup == [False] * 12 + [True] * 12 + [False] * (len(backup) - 24)


def test_all_uplinks_dark_is_the_site() -> None:
    """A site with two uplinks is down when both are."""
    p, b = probe(), probe("p2", uplink=2)
    said = living(p, 0, CUT) + living(b, 0, CUT, phase_s=31) + living(p, BACK, END)
    said += living(b, BACK, END, phase_s=31)
    world = World([site(links=("fibre", "4g"))], [p, b]).play(said, END)
    assert only(world).scope == "site"
    assert world.states()[12:24] == ["DOWN"] * 12


def test_a_probe_that_measures_a_dead_network_is_a_measured_outage() -> None:
    """In touch, and nothing answers inside the country: down after two rounds."""
    p = probe()
    dead = {**GOOD, "nat_rcvd": 0, "int_rcvd": 0}
    gap = [say._replace(values=dead) for say in living(p, CUT, BACK)]
    world = World([site()], [p]).play(living(p, 0, CUT) + gap + living(p, BACK, END), END)
    known_s, told = first(world)
    assert told.measured
    assert known_s == CUT + 67 + 3
    outage = only(world)
    assert seconds(outage.ended_ms) == BACK + 7
    assert (outage.evidence.rounds, outage.evidence.failed) == (60, {"nat": 60, "int": 60})
    assert world.states()[12:24] == ["DOWN"] * 12


def test_backfill_tells_which_tiers_failed_and_when() -> None:
    """Rounds that were measured in the dark move onset and end and are counted by tier."""
    p = probe()
    before = [say._replace(received_s=BACK + 20) for say in living(p, CUT, CUT + 600)]
    gap = cut_off(p, CUT + 600, BACK - 600)
    after = [say._replace(received_s=BACK + 30) for say in living(p, BACK - 600, BACK)]
    said = living(p, 0, CUT) + before + gap + after + living(p, BACK, END)
    for say in gap:
        said[said.index(say)] = say._replace(received_s=BACK + 25)
    world = World([site()], [p]).play(said, END)
    outage = only(world)
    assert seconds(outage.onset_ms) == CUT + 600 + 7 - 30
    assert seconds(outage.ended_ms) == BACK - 600 + 7
    assert outage.evidence.failed == {"isp": 40, "nat": 40, "int": 40}
    assert outage.evidence.near == 40  # the gateway answered
    assert outage.evidence.booted is False
    assert world.states()[12:24] == ["UP"] * 2 + ["DOWN"] * 8 + ["UP"] * 2


def test_what_sensors_measured_in_the_dark_says_nothing_of_the_network() -> None:
    """Only rounds of probes count as measured; those of a thermometer come back as well."""
    p, t = probe(), sensor(interval_s=60)
    said = [*living(p, 0, CUT), *living(p, BACK, END), *cut_off(t, CUT, BACK, phase_s=33)]
    said += [*living(t, 0, CUT, phase_s=33), *living(t, BACK, END, phase_s=33)]
    outage = only(World([site()], [p, t]).play(said, END))
    assert (outage.scope, outage.evidence.rounds) == ("site", 0)
    told = only(World([site()], [p, t]).play(said + cut_off(p, CUT, BACK), END))
    assert told.evidence.rounds == 60


def test_a_power_cut_shows_in_boot_and_mains() -> None:
    """Back with another boot and no rounds from the dark: booted; the mains were off before."""
    p = probe()
    said = living(p, 0, CUT - 120, power_mains=1)
    said += living(p, CUT - 120, CUT, power_mains=0)
    said += living(p, BACK, END, boot="b", os_uptime_s=40, power_mains=1)
    evidence = only(World([site()], [p]).play(said, END)).evidence
    assert (evidence.booted, evidence.mains_lost, evidence.rounds) == (True, True, 0)


def test_an_agent_that_restarts_is_the_device() -> None:
    """The machine was up all along and measured nothing: its program stood still, link unknown."""
    p = probe()
    said = living(p, 0, CUT, os_uptime_s=9e5, agent_uptime_s=9e5)
    said += living(p, BACK, END, os_uptime_s=9e5, agent_uptime_s=30)
    world = World([site()], [p]).play(said, END)
    outage = only(world)
    assert (outage.scope, outage.evidence.agent_restarted) == ("device", True)
    assert world.states()[13:23] == ["UNKNOWN"] * 10


def test_a_satellite_signal_that_fell_is_remembered() -> None:
    """Es/N0 fell by 6 dB before silence."""
    p = probe()
    said = living(p, 0, CUT - 300, esno_db=12) + living(p, CUT - 300, CUT, esno_db=6)
    world = World([site(links=("vsat-geo",))], [p]).play(said + living(p, BACK, END), END)
    assert only(world).evidence.esno_drop_db == 6


def test_flapping_is_one_outage() -> None:
    """Short sessions for two hours: one outage with flapping, and it ends."""
    p = probe()
    said = [Say(1, "p1", 1, online=True), *living(p, 0, CUT)]
    for start in range(int(CUT), int(CUT + 2 * HOUR), 600):
        said += living(p, start, start + 290)
        said += [Say(start + 380, "p1", 0, online=False), Say(start + 595, "p1", 0, online=True)]
    said += living(p, CUT + 2 * HOUR, 6 * HOUR)
    world = World([site()], [p]).play(said, 6 * HOUR)
    outage = only(world)
    assert (outage.scope, outage.flapping, outage.phase) == ("site", True, "settled")
    assert CUT + 270 <= seconds(outage.onset_ms) <= CUT + 400
    assert abs(seconds(outage.ended_ms) - CUT - 2 * HOUR) < 60
    assert world.states()[12:36] == ["UP", "DOWN"] * 12


def test_two_boots_under_one_name_are_counted() -> None:
    """Two machines with one identity take the session from each other."""
    p = probe()
    said = living(p, 0, CUT)
    for n, say in enumerate(living(p, CUT, BACK)):
        said.append(say._replace(boot="ab"[n % 2]))
    outage = only(World([site()], [p]).play(said + living(p, BACK, END), END))
    assert outage.flapping
    assert outage.evidence.boots == 2


def test_a_device_that_starts_anew_in_a_loop_is_not_two() -> None:
    """Every boot is a new one and none of them speaks again."""
    p = probe()
    said = living(p, 0, CUT)
    for n, say in enumerate(living(p, CUT, BACK)):
        said.append(say._replace(boot=f"boot-{n // 4}"))
    outage = only(World([site()], [p]).play(said + living(p, BACK, END), END))
    assert outage.flapping
    assert outage.evidence.boots == 1
    assert outage.evidence.restarts >= 3


def test_a_device_that_stays_away_when_its_site_returns_fails_alone() -> None:
    """After the site is back the probe is still missing: an outage of its own."""
    p, t = probe(), sensor(interval_s=60)
    said = living(p, 0, CUT) + living(t, 0, CUT, phase_s=33) + living(t, BACK, END, phase_s=33)
    world = World([site()], [p, t]).play(said, END)
    scopes = {outage.scope: outage for outage in world.outages.values()}
    assert scopes["site"].phase == "settled"
    assert (scopes["device"].phase, scopes["device"].devices) == ("live", ("p1",))


def test_time_that_we_were_away_counts_for_nobody() -> None:
    """After our own absence every device has its whole timeout again."""
    p = probe()
    world = World([site()], [p]).play(living(p, 0, CUT), CUT)
    back_ms = START_MS + round(BACK * 1000)
    world.connectivity.resume(back_ms)
    world.tick(back_ms + 180_000)
    assert world.outages == {}
    world.tick(back_ms + 190_000)
    assert only(world).scope == "site"


def test_link_active_tells_a_backup() -> None:
    """A probe that says it speaks over the mobile network: uplink down, site up on backup."""
    p = probe()
    away = [say._replace(attributes={"link_active": "4g"}) for say in living(p, CUT, BACK)]
    usual = [say._replace(attributes={"link_active": "fibre"}) for say in living(p, BACK, END)]
    world = World([site(links=("fibre", "4g"))], [p]).play(living(p, 0, CUT) + away + usual, END)
    outage = only(world)
    assert (outage.scope, outage.uplink, outage.phase) == ("uplink", 1, "settled")
    assert seconds(outage.onset_ms) == CUT - 53 + 30  # half an interval after the last own round
    assert seconds(outage.ended_ms) == BACK + 7
    assert [b.on_backup for b in world.bins.values()][12:24] == [True] * 12
    assert set(world.states()) == {"UP"}


def test_a_backup_that_fails_and_returns_does_not_end_the_outage_of_the_usual_link() -> None:
    """Over the mobile network for hours, one of them dark: its rounds say nothing of the fibre.

    A second probe does not name its link.
    """
    p, other = probe(), probe("p2")
    back = CUT + 4 * HOUR
    dark, light = CUT + HOUR, CUT + 2 * HOUR
    away = living(p, CUT, dark) + cut_off(p, dark, light) + living(p, light, back)
    away = [say._replace(attributes={"link_active": "4g"}) for say in away]
    usual = [say._replace(attributes={"link_active": "fibre"}) for say in living(p, back, 6 * HOUR)]
    mute = living(other, 0, dark) + cut_off(other, dark, light) + living(other, light, 6 * HOUR)
    said = [*living(p, 0, CUT), *away, *usual, *mute]
    world = World([site(links=("fibre", "4g"))], [p, other]).play(said, 6 * HOUR)
    outage = only(world)
    assert (outage.scope, outage.uplink, outage.phase) == ("uplink", 1, "settled")
    assert (seconds(outage.onset_ms), seconds(outage.ended_ms)) == (CUT - 23, back + 7)
    assert outage.evidence.other_uplink_alive
    n = int(dark) // 300
    assert world.states()[n - 1 : n + 13] == ["UP"] + ["DOWN"] * 12 + ["UP"]


def test_while_the_backup_is_silent_too_the_whole_site_is_dark() -> None:
    """First the fibre goes, then the mobile network, which comes back: each turn is told."""
    p = probe()
    dark, light = CUT + HOUR, CUT + 2 * HOUR
    away = living(p, CUT, dark) + living(p, light, END)
    said = living(p, 0, CUT) + [say._replace(attributes={"link_active": "4g"}) for say in away]
    world = World([site(links=("fibre", "4g"))], [p]).play(said, END)
    turns = [(one.scope, one.uplink, one.evidence.other_uplink_alive) for _, one in world.history]
    assert list(dict.fromkeys(turns)) == [("uplink", 1, True), ("site", 0, False)]
    assert (turns[-1], len(world.outages)) == (turns[0], 1)
    told = next(one for _, one in world.history if one.scope == "site")
    assert told.evidence.rounds == 0  # those over the backup went well, and say nothing of this
    n = int(CUT) // 300
    assert world.states()[n : n + 30] == ["UP"] * 12 + ["DOWN"] * 12 + ["UP"] * 6
    assert [b.on_backup for b in world.bins.values()][n : n + 12] == [True] * 12


def test_a_mate_that_does_not_name_its_link_does_not_end_a_backup() -> None:
    """One device tells of the backup, another one tells nothing: one outage, no flapping."""
    p, other = probe(), probe("p2")
    away = [say._replace(attributes={"link_active": "4g"}) for say in living(p, CUT, BACK)]
    said = living(p, 0, CUT) + away + living(p, BACK, END) + living(other, 0, END, phase_s=33)
    usual = Say(BACK + 8, "p1", BACK + 7.5, GOOD, "a", attributes={"link_active": "fibre"})
    world = World([site(links=("fibre", "4g"))], [p, other]).play([*said, usual], END)
    outage = only(world)
    assert (outage.scope, outage.flapping, outage.phase) == ("uplink", False, "settled")
    assert outage.evidence.transitions == 0
    assert abs(seconds(outage.ended_ms) - BACK) < 60


def test_flapping_that_a_probe_measured_ends() -> None:
    """Six short times without a network within an hour, all measured; then none: it is over."""
    p = probe()
    said: list[Say] = []
    for start in range(0, int(HOUR), 600):
        said += living(p, start, start + 300)
        said += living(p, start + 300, start + 600, isp_rcvd=0, nat_rcvd=0, int_rcvd=0)
    world = World([site()], [p]).play(said + living(p, HOUR, END), END)
    assert {outage.phase for outage in world.outages.values()} == {"settled"}
