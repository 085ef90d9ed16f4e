"""From a batch to what detection hears of it: rounds and statuses by the numbers of devices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detection.heard import Heard, RefusedRound, Rounds, StatusHeard
from ingest.intake import Batch


def in_time(heard: Heard) -> Heard:
    """What is left of a batch when its late rounds never came."""
    keep = ~heard.rounds.late
    if keep.all():
        return heard
    rounds = heard.rounds
    place = np.cumsum(keep, dtype=np.int32) - 1
    kept = rounds.device[keep]
    return replace(
        heard,
        readings=heard.readings.take(heard.live),
        live=np.ones(np.count_nonzero(heard.live), np.bool_),
        round_of=place[heard.round_of[heard.live]],
        rounds=Rounds(
            device=kept,
            at_ms=rounds.at_ms[keep],
            received_ms=rounds.received_ms[keep],
            late=np.zeros(len(kept), np.bool_),
            boot=[boot for boot, stays in zip(rounds.boot, keep, strict=True) if stays],
            seq=rounds.seq[keep],
            uptime_s=rounds.uptime_s[keep],
            attributes={int(place[n]): a for n, a in rounds.attributes.items() if keep[n]},
        ),
        impossible_round=place[heard.impossible_round],
    )


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
            interval_s=said.interval_s,
        )
        for record, said in batch.statuses
    ]
    refused_rounds = [
        RefusedRound(int(device_of[record]), at_ms, batch.records[record].received_ms)
        for record, at_ms in batch.refused_rounds
        if device_of[record] >= 0
    ]
    return Heard(
        batch.readings,
        batch.live,
        batch.reading_round,
        rounds,
        statuses,
        refused_rounds=refused_rounds,
        impossible=batch.impossible,
        impossible_round=batch.impossible_round,
    )
