"""From a batch to what detection hears of it: rounds and statuses by the numbers of devices."""

from __future__ import annotations

import numpy as np

from detection.heard import Heard, Misdated, Rounds, StatusHeard
from ingest.intake import Batch


def heard_of(batch: Batch) -> Heard:
    """Everything in a batch that detectors judge, in order of arrival."""
    device_of = np.array([-1 if s is None else s.number for s in batch.sources], np.int32)
    received_ms = np.array([record.received_ms for record in batch.records], np.int64)
    rounds = Rounds(
        device=device_of[batch.round_record],
        at_ms=batch.round_at_ms,
        received_ms=received_ms[batch.round_record],
        late=batch.round_late,
        boot=batch.round_boot,
        seq=batch.round_seq,
        uptime_s=batch.round_uptime_s,
        attributes=batch.round_attributes,
    )
    statuses = [
        StatusHeard(
            device=int(device_of[record]),
            online=said.state == "online",
            boot=said.boot,
            at_ms=said.at_ms,
            received_ms=batch.records[record].received_ms,
            uptime_s=said.uptime_s,
        )
        for record, said in batch.statuses
    ]
    misdated = [
        Misdated(int(device_of[record]), at_ms, batch.records[record].received_ms)
        for record, at_ms in batch.misdated
        if device_of[record] >= 0
    ]
    return Heard(
        batch.readings,
        batch.live,
        batch.reading_round,
        rounds,
        statuses,
        misdated=misdated,
        impossible=batch.impossible,
        impossible_round=batch.impossible_round,
    )
