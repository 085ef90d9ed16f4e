"""What follows from messages that are replayed from quarantine: little is as if they came now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest import tally
from ingest.intake import Batch
from ingest.journal import Record
from storage.ledger.facts import DeviceSeen, Facts, Replayed
from storage.ledger.quarantine import QuarantineRow


def records_of(held: Sequence[QuarantineRow]) -> list[Record]:
    """The messages as they came; numbered below zero, where the journal has none."""
    return [Record(-row.id, row.received_ms, row.topic, row.payload) for row in held]


def replayed_facts(
    held: Sequence[QuarantineRow],
    batch: Batch,
    new: NDArray[np.bool_],
    *,
    seen: Sequence[DeviceSeen],
    position: int,
) -> Facts:
    """The facts of a batch of held messages; new: bool[readings], those not stored before.

    What was counted when they came is not counted again, and a status says what was so at its
    time, not what is so now.
    """
    usable = batch.usable
    were_refused = [row.refusals for row in held]
    said_ms = _status_times(batch)
    return Facts(
        position=position,
        replayed=[
            Replayed(row.id, batch.refusals.get(n, []), whole=row.whole and not usable[n])
            for n, row in enumerate(held)
        ],
        device_seen=[one._replace(replayed_ms=said_ms.get(one.device)) for one in seen],
        accounting=tally.replayed_accounting(batch, new, were_refused),
        totals=tally.replayed_totals(
            batch, new, was_whole=[row.whole for row in held], were_refused=were_refused
        ),
    )


def _status_times(batch: Batch) -> dict[str, int]:
    """By device, when its last status of a batch came."""
    times = {}
    for index, _ in batch.statuses:
        source = batch.sources[index]
        if source is not None:
            times[source.device.device] = batch.records[index].received_ms
    return times
