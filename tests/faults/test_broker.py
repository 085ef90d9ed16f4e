"""A broker that is killed, that forgot, or whose session somebody else takes over."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path

import pytest

from tests.faults.deployments import Deployment
from tests.faults.guarantees import seed, size
from tests.faults.load import Followed
from tests.faults.storms import storm
from tests.path.platform import Platform, one_office
from tests.project.broker import wait_for

pytestmark = [pytest.mark.guarantee, pytest.mark.mosquitto]
RATE = 500.0


@pytest.mark.parametrize("forgets", [False, True], ids=["from its snapshot", "with nothing"])
def test_a_broker_that_comes_back_costs_nothing_that_ingest_has(
    deployment: Deployment, forgets: bool
) -> None:
    """kill -9 of the broker: ingest comes back and subscribes; all it has taken is stored once.

    What the broker had acknowledged and not delivered is lost with it: that is what an outbox and
    receipts are for.
    """
    chance = random.Random(seed())
    with storm(deployment, rate=RATE, chance=chance) as during:
        for _ in range(size(quick=1, long=5)):
            during.load.wait_sent(chance.randrange(200, 600))
            connection = deployment.connection
            deployment.kill("broker")
            if forgets:
                (deployment.directory / "mosquitto.db").unlink(missing_ok=True)
            deployment.start("broker")
            deployment.wait_connected(after=connection)
        subscribed_at = during.load.sent
        during.load.wait_sent(200)
        during.load.finish()
        during.followed.wait_for_round(during.load.sent - 1)
        found = during.reckon()
    print(f"the broker lost {during.load.sent - found.taken} of {during.load.sent} rounds")
    assert found.is_exact, found
    assert set(range(subscribed_at, during.load.sent)) <= set(during.followed.times)


def test_two_clients_of_one_name_share_and_say_so(deployment: Deployment, tmp_path: Path) -> None:
    """Two receivers take the session from one another: between them nothing is lost; both say it.

    After the second has gone the first keeps its connection.
    """
    chance = random.Random(seed())
    other = Platform(tmp_path, one_office(), {"GOVSENSE_MQTT__PORT": str(deployment.port)})
    try:
        with storm(deployment, rate=RATE, chance=chance) as during:
            other.start("receiver")
            wait_for(lambda: (tmp_path / "journal/head").exists(), "the second has a journal")
            wait_for(lambda: (tmp_path / "journal/head").stat().st_size > 0, "and its head")
            with Followed(tmp_path / "journal", during.load, from_start=True).running() as theirs:
                for receiver in (deployment, other):
                    wait_for(partial(is_not_alone, receiver), "it says that it is not alone", 30)
                assert other.stop("receiver") == 0
                during.load.wait_sent(100)
                during.load.finish()
                during.followed.wait_for_round(during.load.sent - 1)
                found = during.reckon()
                everybody = set(during.followed.times) | set(theirs.times)
                assert theirs.times, "the second took nothing"
    finally:
        other.close()
    assert found.is_exact, found
    assert everybody == set(range(during.load.sent))


def is_not_alone(receiver: Platform) -> bool:
    """Whether it has said that there may be another client."""
    return "is there another client with the identifier" in receiver.log("receiver")
