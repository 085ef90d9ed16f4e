"""Which rounds of each device have come: what it may forget, what to ask for, what is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from devices.sequences import Range, Sequence
from devices.wire import Receipt, Resend
from ingest.intake import Batch
from storage.ledger.sequences import SequenceRow

RECEIPT_EVERY_MS = 10_000
ASK_AFTER_MS = 30_000  # rounds may overtake each other: a fresh gap is no loss
ASK_EVERY_MS = 60_000
GIVE_UP_AFTER_MS = 600_000  # without any of the missing rounds coming
MOST_GAPS_ASKED = 5
MOST_ROUNDS_ASKED = 1000
MOST_BOOTS = 8  # of one device that are followed; what older ones miss is given up
MOST_LEFT = 64  # boots of one device that are left between two looks and still known


class Downlink(NamedTuple):
    """A receipt or a request to send again, for one device."""

    device: str
    said: Receipt | Resend


@dataclass(slots=True)
class _Boot:
    sequence: Sequence = field(default_factory=Sequence)
    changed: bool = False  # since the last look
    receipted: int = -1
    told_ms: int = 0
    mark: int = 0  # gaps up to here are watched together
    missing: int = 0  # rounds in those gaps
    since_ms: int = 0  # no missing round has come since
    asked_ms: int = 0


class _Kept(msgspec.Struct, array_like=True):
    device: str
    boot: str
    ranges: list[Range]
    lost: list[Range]


Recall = Callable[[str, str], SequenceRow | None]


class Sequences:
    """The boots of all devices. Takes time as an argument.

    recall: gives what the ledger knows of a boot that is not followed, so that one which comes
    again after a long time is not missed from its first round on.
    """

    def __init__(self, recall: Recall = lambda device, boot: None) -> None:
        self._recall = recall
        self._boots: dict[str, dict[str, _Boot]] = {}
        self._left: dict[str, dict[str, SequenceRow]] = {}  # for the ledger at the next look
        self._next_look_ms = 0

    def take(self, batch: Batch) -> None:
        """Note the numbered rounds of a batch; refused ones too, for they are on our disk."""
        for record, boot, seq in batch.arrivals:
            source = batch.sources[record]
            if source is not None:
                followed = self._follow(source.device.device, boot)
                followed.sequence.add(seq)
                followed.changed = True
                if seq <= followed.receipted:  # it has not heard the receipt: say it again
                    followed.receipted = -1

    def look(self, now_ms: int) -> tuple[list[Downlink], list[SequenceRow]]:
        """What to tell devices and the ledger now, at most every RECEIPT_EVERY_MS.

        One receipt a device: where several boots are due, the one that has waited longest.
        """
        if now_ms < self._next_look_ms:
            return [], []
        self._next_look_ms = now_ms + RECEIPT_EVERY_MS
        downlinks: list[Downlink] = []
        rows = [row for boots in self._left.values() for row in boots.values()]
        self._left.clear()
        for device, boots in self._boots.items():
            for name, boot in boots.items():
                if not boot.changed and not boot.missing:
                    continue
                lost = _watch(boot, now_ms)
                downlinks += [Downlink(device, ask) for ask in _requests(name, boot, now_ms)]
                if boot.changed or lost:
                    rows.append(_row(device, name, boot.sequence))
                boot.changed = False
            downlinks += [Downlink(device, receipt) for receipt in _receipt(boots, now_ms)]
        return downlinks, rows

    def state(self) -> bytes:
        """Everything that has come and what was given up."""
        return msgspec.msgpack.encode(
            [
                _Kept(device, name, boot.sequence.ranges, boot.sequence.lost)
                for device, boots in self._boots.items()
                for name, boot in boots.items()
            ]
        )

    def restore(self, state: bytes) -> None:
        """Hold exactly what a state says; receipts are sent anew."""
        self._boots.clear()
        self._left.clear()
        for kept in msgspec.msgpack.decode(state, type=list[_Kept]):
            boot = _Boot(Sequence(kept.ranges, kept.lost), changed=True)
            self._boots.setdefault(kept.device, {})[kept.boot] = boot

    def _follow(self, device: str, name: str) -> _Boot:
        """The boot, from now on the one that was silent the shortest."""
        boots = self._boots.setdefault(device, {})
        boot = boots.pop(name, None)
        if boot is None:
            known = self._left.get(device, {}).pop(name, None) or self._recall(device, name)
            if len(boots) >= MOST_BOOTS:
                self._leave(device, next(iter(boots)))
            boot = _Boot(Sequence() if known is None else _sequence_of(known))
        boots[name] = boot
        return boot

    def _leave(self, device: str, name: str) -> None:
        """Follow a boot no longer: the ledger will know what came of it and what did not."""
        sequence = self._boots[device].pop(name).sequence
        sequence.give_up(sequence.highest)
        left = self._left.setdefault(device, {})
        left[name] = _row(device, name, sequence)
        if len(left) > MOST_LEFT:
            del left[next(iter(left))]


def _watch(boot: _Boot, now_ms: int) -> bool:
    """Follow the gaps up to the mark; whether some were given up now."""
    missing = _count(boot.sequence, boot.mark)
    if missing < boot.missing or not missing:
        boot.since_ms = now_ms
    lost = bool(missing) and now_ms - boot.since_ms >= GIVE_UP_AFTER_MS
    if lost:
        boot.sequence.give_up(boot.mark)
    if lost or not missing:
        boot.mark = boot.sequence.highest
        boot.since_ms = now_ms
        missing = _count(boot.sequence, boot.mark)
    boot.missing = missing
    return lost


def _receipt(boots: dict[str, _Boot], now_ms: int) -> Iterator[Receipt]:
    due = [
        (boot.told_ms, name, settled)
        for name, boot in boots.items()
        if (settled := boot.sequence.settled) is not None and settled > boot.receipted
    ]
    if due:
        _, name, settled = min(due)
        boots[name].receipted, boots[name].told_ms = settled, now_ms
        yield Receipt(name, settled)


def _requests(name: str, boot: _Boot, now_ms: int) -> list[Resend]:
    waited_ms, quiet_ms = now_ms - boot.since_ms, now_ms - boot.asked_ms
    if not boot.missing or waited_ms < ASK_AFTER_MS or quiet_ms < ASK_EVERY_MS:
        return []
    boot.asked_ms = now_ms
    gaps = [gap for gap in boot.sequence.gaps if gap[0] <= boot.mark][:MOST_GAPS_ASKED]
    return [Resend(name, first, min(last, first + MOST_ROUNDS_ASKED - 1)) for first, last in gaps]


def _count(sequence: Sequence, upto: int) -> int:
    return sum(last - first + 1 for first, last in sequence.gaps if first <= upto)


def _row(device: str, name: str, sequence: Sequence) -> SequenceRow:
    return SequenceRow(device, name, sequence.highest, sequence.gaps, sequence.lost)


def _sequence_of(row: SequenceRow) -> Sequence:
    """What had come when a boot was left; everything that was missing is waited for anew."""
    came, next_number = [], 1
    for first, last in sorted([*row.waiting, *row.lost]):
        if first > next_number:
            came.append((next_number, first - 1))
        next_number = last + 1
    if row.highest >= next_number:
        came.append((next_number, row.highest))
    return Sequence(came)
