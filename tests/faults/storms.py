"""A storm: a load on a deployment with the law watched, and the reckoning when it is over."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.faults.conservation import Conservation
from tests.faults.deployments import Deployment
from tests.faults.load import Followed, Load, loaded
from tests.faults.reckoning import Counted, Reckoning, counted, reckon


@dataclass(frozen=True)
class Storm:
    """What a test needs while the faults happen."""

    deployment: Deployment
    load: Load
    followed: Followed
    law: Conservation
    before: Counted

    def over(self) -> Reckoning:
        """Publish no more; when everything is on the platform's disk and processed, count."""
        self.load.finish()
        self.followed.wait_for_all(self.load.sent)
        return self.reckon()

    def reckon(self) -> Reckoning:
        """Count, once all that is on the platform's disk is processed."""
        return reckon(self.deployment, self.load, self.followed, self.before)


@contextmanager
def storm(deployment: Deployment, *, rate: float, chance: random.Random) -> Iterator[Storm]:
    """rate: messages a second. Fails at its end where the law was violated."""
    before = counted(deployment)
    deployment.in_storm = True
    with (
        Conservation(deployment).watched() as law,
        loaded(deployment, rate=rate, chance=chance) as (load, followed),
    ):
        yield Storm(deployment, load, followed, law, before)
    deployment.in_storm = False
