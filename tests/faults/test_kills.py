"""kill -9 of every part under load: what ingest has acknowledged is stored exactly once."""

from __future__ import annotations

import random

import pytest

from tests.faults.deployments import Deployment
from tests.faults.guarantees import record, seed, size
from tests.faults.storms import storm

pytestmark = [pytest.mark.guarantee, pytest.mark.mosquitto]
RATE = 1000.0


def test_kills_at_random_instants_lose_nothing(deployment: Deployment) -> None:
    """Every part but the broker, killed at random instants: nothing lost, nothing twice."""
    chosen = seed()
    chance = random.Random(chosen)
    kills = size(quick=4, long=100)
    parts = [*deployment.loops, *deployment.servers]
    order = random_order(parts, kills, chance)
    with storm(deployment, rate=RATE, chance=chance) as during:
        for part in order:
            during.load.wait_sent(chance.randrange(100, 1000))
            if part == "receiver":  # at work, not still on its way to the broker
                during.followed.wait_for_more()
                during.load.wait_sent(chance.randrange(1, 50))
            deployment.kill(part)
            during.load.wait_sent(chance.randrange(1, 200))
            deployment.start(part)
        found = during.over()
    figure = f"{found.lost} of {found.readings:,} over {kills} kills, {found.repeated:,} messages"
    figure += f" delivered again, {found.extra} extra rows; seed {chosen}"
    record("kills", figure, met=found.is_exact and found.readings >= 100_000, of=deployment.kind)
    during.law.record(f"{kills} kills")
    assert found.is_exact, found
    assert found.published == found.taken == during.load.sent


def random_order(parts: list[str], count: int, chance: random.Random) -> list[str]:
    """Each part about equally often, in random order."""
    rounds = -(-count // len(parts))
    order = [part for _ in range(rounds) for part in chance.sample(parts, len(parts))]
    return order[:count]
