"""Ordering: rounds that overtook each other are judged in the order that their device numbered.

A round whose predecessor has not come waits until it comes, or until it could only come late. In
order, nothing waits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from detection.heard import Heard
from devices.catalogue import Catalogue
from devices.readings import Readings
from ingest.intake import lateness_ms

MOST_HELD = 256  # rounds of one device that wait; with one more, none is waited for any longer
FIRST = 1  # the lowest number that every boot is sure to have
NONE = Readings.of([], [], [], [])


class Said(NamedTuple):
    """What is judged of some rounds: accepted readings, and those refused as impossible.

    bare: rounds without a single value, as (device number, event ms).
    """

    readings: Readings
    impossible: Readings
    bare: list[tuple[int, int]]


@dataclass(slots=True)
class _Held:
    """A round that waits. until_ms: what is missing before it is late by then."""

    said: Said
    until_ms: int


@dataclass(slots=True)
class _Device:
    """What is known of one device's numbering. newest_ms: event time of its newest live round.

    before: the boot that spoke before this one; two that take turns have one name between them.
    """

    boot: str
    before: str
    following: int  # every round below it has come, or is not waited for
    newest_ms: int
    held: dict[int, _Held] = field(default_factory=dict)


class _Kept(msgspec.Struct, array_like=True):
    """A device in a snapshot; a round is (number, until_ms, accepted, impossible, event ms if it
    is bare) and readings are (metric, at_ms, received_ms, value)."""

    device: str
    boot: str
    before: str
    following: int
    newest_ms: int
    held: list[tuple[int, int, list[_Row], list[_Row], int | None]]


_Row = tuple[str, int, int, float]


class Ordering:
    """The live rounds of every device, in order. No clock, no I/O.

    Not put in order: rounds without boot or number; a device's first round ever, which nothing
    says the predecessors of; rounds of an older boot than the newest one that has spoken.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._devices: dict[int, _Device] = {}
        self._waiting: set[int] = set()  # devices that hold rounds

    def take(self, heard: Heard) -> Said:
        """What a batch lets be judged: its live rounds but those that wait, and what waited."""
        rounds, live = heard.rounds, (~heard.rounds.late).tolist()
        columns = (rounds.device.tolist(), rounds.seq.tolist(), rounds.boot)
        due: list[int | Said] = []
        in_order = True
        for place, (number, seq, boot) in enumerate(zip(*columns, strict=True)):
            if boot is None or seq < 0:
                if live[place]:
                    due.append(place)
                continue
            device = self._devices.get(number)
            if device is not None and device.boot == boot and seq == device.following:
                device.following += 1
                if live[place]:
                    due.append(place)
                    device.newest_ms = max(device.newest_ms, int(rounds.at_ms[place]))
                if device.held:
                    due += self._drain(number, device)
                    in_order = False
            else:
                placed = list(self._place(heard, place, live=live[place]))
                in_order &= placed == [place] * live[place]
                due += placed
        if in_order:
            return Said(heard.readings.take(heard.live), heard.impossible, _bare(heard))
        return _joined([_said(heard, one) if isinstance(one, int) else one for one in due])

    def tick(self, now_ms: int) -> Said | None:
        """What need not wait any longer; None for nothing. Everything up to now_ms was heard."""
        due: list[Said] = []
        for number in sorted(self._waiting):
            device = self._devices[number]
            while device.held:
                first = min(device.held)
                if now_ms < device.held[first].until_ms:
                    break
                device.following = first
                due += self._drain(number, device)
        return _joined(due) if due else None

    def resume(self, now_ms: int) -> None:
        """The clock may have been set back to now_ms: nothing waits longer than usual from then."""
        for number in self._waiting:
            longest_ms = now_ms + lateness_ms(self._catalogue.devices[number])
            for held in self._devices[number].held.values():
                held.until_ms = min(held.until_ms, longest_ms)

    def snapshot(self) -> bytes:
        """All state as bytes for `restore`, by names of devices and metrics."""
        return msgspec.msgpack.encode(
            [
                _Kept(
                    self._catalogue.devices[number].device,
                    device.boot,
                    device.before,
                    device.following,
                    device.newest_ms,
                    [
                        (
                            seq,
                            one.until_ms,
                            self._rows(one.said.readings),
                            self._rows(one.said.impossible),
                            one.said.bare[0][1] if one.said.bare else None,
                        )
                        for seq, one in sorted(device.held.items())
                    ],
                )
                for number, device in sorted(self._devices.items())
            ]
        )

    def restore(self, state: bytes) -> None:
        """Go on where the snapshot was taken; what the catalogue does not know is left out."""
        self._devices, self._waiting = {}, set()
        for kept in msgspec.msgpack.decode(state, type=list[_Kept]):
            number = self._catalogue.device_number_of(kept.device)
            if number is None:
                continue
            device = _Device(kept.boot, kept.before, kept.following, kept.newest_ms)
            for seq, until_ms, *rows, bare_ms in kept.held:
                readings, impossible = (self._readings(kept.device, some) for some in rows)
                bare = [] if bare_ms is None else [(number, bare_ms)]
                device.held[seq] = _Held(Said(readings, impossible, bare), until_ms)
            self._devices[number] = device
            if device.held:
                self._waiting.add(number)

    def _place(self, heard: Heard, place: int, *, live: bool) -> Iterator[int | Said]:
        """A numbered round that is not simply the next one of its device."""
        number, seq = int(heard.rounds.device[place]), int(heard.rounds.seq[place])
        boot, at_ms = str(heard.rounds.boot[place]), int(heard.rounds.at_ms[place])
        device = self._devices.get(number)
        if device is None or device.boot != boot:
            if not live or (device is not None and at_ms <= device.newest_ms):
                yield from [place] * live  # of an older boot
                return
            following, before = seq, ""
            if device is not None:
                yield from self._release_below(number, device, max(device.held, default=0) + 1)
                following, before = min(seq, FIRST), device.boot
                if device.before == boot:
                    following = seq
            device = self._devices[number] = _Device(boot, before, following, at_ms)
        if not live:
            # what is missing before it is older still, so it is late as well
            yield from self._release_below(number, device, seq)
            device.following = max(device.following, seq + 1)
        elif seq <= device.following:
            device.following = max(device.following, seq + 1)
            yield place
        elif seq not in device.held:
            until_ms = at_ms + lateness_ms(self._catalogue.devices[number])
            device.held[seq] = _Held(_said(heard, place), until_ms)
            self._waiting.add(number)
            if len(device.held) > MOST_HELD:
                device.following = min(device.held)
        device.newest_ms = max(device.newest_ms, at_ms) if live else device.newest_ms
        yield from self._drain(number, device)

    def _release_below(self, number: int, device: _Device, seq: int) -> Iterator[Said]:
        """Wait for nothing before that number."""
        for held in sorted(held for held in device.held if held < seq):
            yield device.held.pop(held).said
        if not device.held:
            self._waiting.discard(number)

    def _drain(self, number: int, device: _Device) -> Iterator[Said]:
        """What waited for the rounds that have come, or are given up, up to now."""
        while device.following in device.held:
            yield device.held.pop(device.following).said
            device.following += 1
        if not device.held:
            self._waiting.discard(number)

    def _rows(self, readings: Readings) -> list[_Row]:
        names = [self._catalogue[series].metric.name for series in readings.series.tolist()]
        columns = (readings.at_ms, readings.received_ms, readings.value)
        return list(zip(names, *(column.tolist() for column in columns), strict=True))

    def _readings(self, device: str, rows: list[_Row]) -> Readings:
        known = [(self._catalogue.find(device, name), *rest) for name, *rest in rows]
        found = [row for row in known if row[0] is not None]
        columns = [list(column) for column in zip(*found, strict=True)] or [[], [], [], []]
        return Readings.of(*columns)


def _said(heard: Heard, place: int) -> Said:
    """What one round of a batch says."""
    first, last = np.searchsorted(heard.round_of, [place, place + 1])
    refused = np.flatnonzero(heard.impossible_round == place)
    impossible = heard.impossible.take(refused) if len(refused) else NONE
    bare = []
    if first == last and not len(refused):
        bare = [(int(heard.rounds.device[place]), int(heard.rounds.at_ms[place]))]
    return Said(heard.readings.take(np.arange(first, last)), impossible, bare)


def _bare(heard: Heard) -> list[tuple[int, int]]:
    """The live rounds of a batch without a single value."""
    rounds = heard.rounds
    bare = ~rounds.late
    bare[heard.round_of] = bare[heard.impossible_round] = False
    return list(zip(rounds.device[bare].tolist(), rounds.at_ms[bare].tolist(), strict=True))


def _joined(some: list[Said]) -> Said:
    """All of them, in that order."""
    return Said(
        _concatenated([one.readings for one in some]),
        _concatenated([one.impossible for one in some]),
        [bare for one in some for bare in one.bare],
    )


def _concatenated(parts: list[Readings]) -> Readings:
    if not parts:
        return NONE
    return Readings(
        np.concatenate([p.series for p in parts]),
        np.concatenate([p.at_ms for p in parts]),
        np.concatenate([p.received_ms for p in parts]),
        np.concatenate([p.value for p in parts]),
    )
