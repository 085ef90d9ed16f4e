"""Unreadable: a device whose messages are broken is told, one broken message is not."""

from __future__ import annotations

import json
import zlib

import numpy as np

from detection.engine import Engine
from detection.findings import Finding
from detection.snapshots import HEAD
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from tests.detection.feed import START_MS, device

MINUTE_MS = 60_000


class Ears:
    """An engine that knows one device, and the minute that it is."""

    def __init__(self) -> None:
        self.catalogue = Catalogue()
        self.catalogue.add(device(), KINDS["environment"].metrics["temperature_c"])
        self.engine = Engine(self.catalogue)
        self.now_ms = START_MS

    def hear(self, *readable: bool) -> list[tuple[str, str]]:
        """Rules and phases of what is told of messages, one a minute."""
        found: list[Finding] = []
        for fine in readable:
            self.now_ms += MINUTE_MS
            now = np.array([self.now_ms])
            if fine:
                self.engine.heard(np.array([0], np.int32), now, now)
            else:
                self.engine.refused_round(0, None, self.now_ms)
            found += self.engine.tick(self.now_ms)
        return [(f.rule, f.phase) for f in found]

    def restart(self) -> None:
        """Go on from a snapshot."""
        state, self.engine = self.engine.snapshot(), Engine(self.catalogue)
        self.engine.restore(state)


def test_one_broken_message_is_not_told() -> None:
    """Nor two, where a readable one comes between each two and the next."""
    assert Ears().hear(*[True, False, False] * 10) == []


def test_the_third_in_a_row_fires_and_three_readable_ones_end_it() -> None:
    """Once, and through restarts; the device is never called silent."""
    ears = Ears()
    assert ears.hear(True, False, False) == []
    ears.restart()
    assert ears.hear(False) == [("unreadable", "firing")]
    assert ears.hear(*[False] * 60) == []
    ears.restart()
    assert ears.hear(True, True, False, True, True) == []
    assert ears.hear(True) == [("unreadable", "clear")]
    assert ears.hear(*[True] * 5) == []


def test_a_snapshot_from_before_this_rule_is_gone_on_from() -> None:
    """An upgrade does not throw away what was learned."""
    ears = Ears()
    ears.hear(True)
    state = ears.engine.snapshot()
    magic, _, length = HEAD.unpack_from(state)
    text, rows = state[HEAD.size : HEAD.size + length], state[HEAD.size + length :]
    header = json.loads(text)
    del header["notes"]["unreadable"]
    text = json.dumps(header).encode()
    older = HEAD.pack(magic, zlib.crc32(text + rows), len(text)) + text + rows
    ears.engine = Engine(ears.catalogue)
    ears.engine.restore(older)
    assert ears.hear(False, False, False) == [("unreadable", "firing")]
