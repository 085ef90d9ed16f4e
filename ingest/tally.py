"""What became of every message and round of a batch, in numbers that add up.

Each message has exactly one outcome: stored (something in it was new, or it was a status),
duplicate (all that could be used was stored before) or quarantined (nothing could be used).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from devices.wire import reasons
from ingest.intake import Batch

HOUR_MS = 3_600_000
Accounting = dict[tuple[str, int], tuple[int, int, int, int]]


def outcomes(batch: Batch, new: NDArray[np.bool_]) -> NDArray[np.str_]:
    """The outcome of each record: "stored", "duplicate" or "quarantined"."""
    usable = batch.usable
    fresh = np.zeros(len(batch.records), np.bool_)
    fresh[batch.reading_record[new]] = True
    refused = np.zeros(len(batch.records), np.bool_)
    refused[list(batch.refusals)] = True
    return np.select([usable & ~fresh, refused & ~usable], ["duplicate", "quarantined"], "stored")


def totals(batch: Batch, new: NDArray[np.bool_], became: NDArray[np.str_]) -> Counter[str]:
    """Counts to add to the exact totals: messages by outcome, readings, refusals by reason."""
    counts: Counter[str] = Counter()
    names, numbers = np.unique(became, return_counts=True)
    for name, number in zip(names.tolist(), numbers.tolist(), strict=True):
        counts[f"messages_{name}"] = number
    counts["readings_stored"] = int(np.count_nonzero(new))
    counts["readings_duplicate"] = len(new) - counts["readings_stored"]
    counts["readings_late"] = int(np.count_nonzero(new & ~batch.live))
    for refusals in batch.refusals.values():
        for refusal in refusals:
            counts[f"refused_{refusal.reason}"] += 1
    return counts


def replayed_totals(
    batch: Batch,
    new: NDArray[np.bool_],
    *,
    was_whole: Sequence[bool],
    were_refused: Sequence[Sequence[Mapping[str, str]]],
) -> dict[str, int]:
    """What a replay from quarantine adds to the totals: its messages were counted when they came.

    was_whole, were_refused: by record, what was refused of it before.
    """
    became = outcomes(batch, new)
    counts = totals(batch, new, became)
    counts["readings_duplicate"] = 0  # these were stored when the message first came
    for outcome, whole, refusals in zip(became.tolist(), was_whole, were_refused, strict=True):
        counts[f"messages_{outcome}"] -= 1
        if whole and outcome != "quarantined":
            counts["messages_quarantined"] -= 1
            counts[f"messages_{outcome}"] += 1
        for refusal in refusals:
            counts[f"refused_{refusal['reason']}"] -= 1
    return dict(counts)


def accounting(batch: Batch, new: NDArray[np.bool_]) -> Accounting:
    """(received, late, duplicate, quarantined) to add, by device and hour of event time.

    received, late and duplicate count rounds; late ones are received too. quarantined counts
    refusals, in the hour of their arrival, since the event time may be what was wrong.
    """
    round_new = np.zeros(len(batch.round_record), np.bool_)
    round_new[batch.reading_round[new]] = True
    round_usable = np.zeros(len(batch.round_record), np.bool_)
    round_usable[batch.reading_round] = True
    devices, device_of_record = _devices(batch)
    hours = batch.round_at_ms // HOUR_MS
    keys = device_of_record[batch.round_record] * 2**32 + hours
    unique, where = np.unique(keys, return_inverse=True)
    columns = [
        np.bincount(where, weights=mask, minlength=len(unique)).astype(int).tolist()
        for mask in (round_new, round_new & batch.round_late, round_usable & ~round_new)
    ]
    account: Accounting = {}
    for key, received, late, duplicate in zip(unique.tolist(), *columns, strict=True):
        account[devices[key >> 32], (key % 2**32) * HOUR_MS] = (received, late, duplicate, 0)
    for index, refusals in batch.refusals.items():
        source = batch.sources[index]
        if source is not None:
            hour_ms = batch.records[index].received_ms // HOUR_MS * HOUR_MS
            before = account.get((source.device.device, hour_ms), (0, 0, 0, 0))
            account[source.device.device, hour_ms] = (*before[:3], before[3] + len(refusals))
    return account


def replayed_accounting(
    batch: Batch, new: NDArray[np.bool_], were_refused: Sequence[Sequence[Mapping[str, str]]]
) -> Accounting:
    """What a replay from quarantine adds to the accounting: what was counted before is not again.

    were_refused: by record, what was refused of it before.
    """
    account = {
        key: (received, late, 0, quarantined)
        for key, (received, late, _, quarantined) in accounting(batch, new).items()
    }
    for source, record, refusals in zip(batch.sources, batch.records, were_refused, strict=True):
        counted = sum(refusal["reason"] not in reasons.OF_NOBODY for refusal in refusals)
        if source is not None and counted:
            key = source.device.device, record.received_ms // HOUR_MS * HOUR_MS
            before = account.get(key, (0, 0, 0, 0))
            account[key] = (*before[:3], before[3] - counted)
    return account


def _devices(batch: Batch) -> tuple[list[str], NDArray[np.int64]]:
    """The devices of a batch, and for each record the index of its own (0 where unknown)."""
    indexes: dict[str, int] = {}
    of_record = [
        0 if source is None else indexes.setdefault(source.device.device, len(indexes))
        for source in batch.sources
    ]
    return list(indexes), np.array(of_record, np.int64)
