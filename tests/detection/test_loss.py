"""Loss: a few packets in a thousand, pooled over hours, told from a bad spell of minutes."""

from __future__ import annotations

import numpy as np
import pytest

from detection.engine import Engine
from tests.detection.feed import Feed, Talk, steps

DAY = 24 * 60  # rounds, one a minute


def rounds(share: float, n: int, seed: int = 1) -> list[float]:
    """Loss in percent of n rounds of ten packets, each lost with this chance."""
    lost = np.random.default_rng(seed).binomial(10, share, n)
    percent: list[float] = (100.0 * lost / 10).tolist()
    return percent


def link() -> Feed:
    """A link that lost one packet in five hundred for two days; nothing is said of that."""
    feed = Feed("connectivity-probe", "nat_loss_pct")
    assert steps(feed.say(rounds(0.002, 2 * DAY)), "loss") == []
    return feed


def test_two_in_a_hundred_that_last_fire_once_and_end() -> None:
    """Found within hours though no round is remarkable; over soon after packets arrive again."""
    feed = link()
    assert steps(feed.say(rounds(0.02, 8 * 60, seed=2)), "loss") == ["firing"]
    assert steps(feed.say(rounds(0.02, DAY, seed=3)), "loss") == []
    assert steps(feed.say(rounds(0.002, 150, seed=4)), "loss") == ["clear"]


def test_its_onset_is_where_losses_began_to_add_up() -> None:
    """Not the packet that was lost an hour before, as one in five hundred is."""
    feed = link()
    feed.say([0.0] * 60 + [10.0] + [0.0] * 20)
    began_ms = feed.at_ms
    found = feed.say(rounds(0.03, 6 * 60, seed=2))
    (onset_ms,) = [f.onset_ms for f in found if f.rule == "loss" and f.phase == "firing"]
    assert began_ms <= onset_ms <= began_ms + 30 * 60_000


def test_a_bad_spell_of_minutes_is_no_loss_that_lasts() -> None:
    """However much is lost in one hour, the hours beside it must show it too."""
    feed = link()
    assert steps(feed.say(rounds(0.3, 30, seed=5) + rounds(0.002, DAY, seed=6)), "loss") == []


def test_three_bad_hours_do_fire() -> None:
    """Not before the third: no hour counts for more than two fifths of the evidence."""
    feed = link()
    feed.say([0.0] * (60 - feed.at_ms // 60_000 % 60))  # to the end of a clock hour
    assert steps(feed.say(rounds(0.1, 2 * 60, seed=7)), "loss") == []
    assert steps(feed.say(rounds(0.1, 60, seed=8)), "loss") == ["firing"]


def test_what_a_link_always_loses_is_its_normal_share() -> None:
    """A link that lost three in a hundred from its first day on says nothing of it."""
    feed = Feed("connectivity-probe", "nat_loss_pct")
    assert steps(feed.say(rounds(0.03, 4 * DAY, seed=8)), "loss") == []


def test_a_restart_within_an_hour_changes_nothing() -> None:
    """What the hour has counted for is part of the state."""
    bad = rounds(0.05, 6 * 60, seed=9)
    whole, halved = link(), link()
    expected = whole.say(bad)
    found = halved.say(bad[:90])
    state, halved.engine = halved.engine.snapshot(), Engine(halved.catalogue)
    halved.engine.restore(state)
    assert found + halved.say(bad[90:]) == expected
    assert "firing" in steps(expected, "loss")


def told(talk: Talk, shares: tuple[float, float], n: int, seed: int) -> list[str]:
    """What of two tiers losses are told of in n rounds that lose these shares."""
    found = []
    for isp, nat in zip(
        *(rounds(share, n, seed + k) for k, share in enumerate(shares)), strict=True
    ):
        found += talk.say(isp_loss_pct=isp, nat_loss_pct=nat)
    return [f.metric for f in found if (f.rule, f.phase) == ("loss", "firing")]


@pytest.mark.parametrize(("beyond", "soon"), [(0.02, True), (0.0015, False)])
def test_what_one_tier_loses_alone_must_be_plainer(beyond: float, soon: bool) -> None:
    """What the provider's router loses is lost beyond it, too; where it is not, twice as much is
    asked for."""
    talk = Talk("connectivity-probe")
    assert told(talk, (0.0015, 0.0015), 2 * DAY, 1) == []
    assert ("isp_loss_pct" in told(talk, (0.02, beyond), 3 * 60, 11)) == soon
    if not soon:
        assert told(talk, (0.02, beyond), 12 * 60, 21) == ["isp_loss_pct"]
