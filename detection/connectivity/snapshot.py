"""Snapshots of connectivity as bytes, by names of devices and sites, so that numbers may change."""

from __future__ import annotations

import json
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.connectivity.bins import BinBook, Dark
from detection.connectivity.book import CaseBook
from detection.connectivity.cases import Case
from detection.connectivity.fleet import UPLINKS, Fleet
from detection.connectivity.masks import RING, Masks
from detection.connectivity.sessions import RECALLED, STATE, Sessions, Signal
from detection.muting import Excluded
from detection.outages import Bin, Evidence, Outage
from detection.snapshots import SnapshotError

MAGIC = b"GSC1"  # another layout of these bytes needs another number
HEAD = struct.Struct("<4sII")  # magic, CRC-32 of all that follows, length of the JSON header
QUICK = 1  # the masks are mostly alike: more effort saves little

NumberOf = Callable[[str], int | None]


@dataclass(frozen=True, slots=True)
class State:
    """Everything that connectivity remembers."""

    fleet: Fleet
    sessions: Sessions
    masks: Masks
    bins: BinBook
    book: CaseBook
    flapping: set[int]

    def pack(self) -> bytes:
        """All of it as bytes."""
        header = {
            "layout": _layout(),
            "devices": [self.fleet.device(n).device for n in range(len(self.sessions.rows))],
            "sites": self.fleet.sites,
            "newest": self.masks.newest,
            "sessions": self._pack_sessions(),
            "bins": self._pack_bins(),
            "book": self._pack_book(),
        }
        text = json.dumps(header).encode()
        arrays = b"".join(array.tobytes() for array in self._arrays())
        body = text + zlib.compress(arrays, QUICK)
        return HEAD.pack(MAGIC, zlib.crc32(body), len(text)) + body

    def unpack(self, header: dict[str, Any], arrays: bytes) -> None:
        """Put an opened snapshot into these parts, which must be fresh and have all rows.

        Devices and sites that are not known any more are left out.
        """
        number_of = self.fleet.number_of
        self.masks.newest = header["newest"]
        devices = [number_of(name) for name in header["devices"]]
        known_sites = set(self.fleet.sites)
        sites = [self.fleet.site_number(n) if n in known_sites else None for n in header["sites"]]
        self._unpack_arrays(arrays, devices, sites)
        self._unpack_sessions(header["sessions"], devices)
        self._unpack_bins(header["bins"], sites)
        self._unpack_book(header["book"], number_of, sites)

    def _arrays(self) -> Iterator[NDArray[Any]]:
        yield self.sessions.rows
        for mask in self.masks.slots.values():
            yield mask.reshape(-1, UPLINKS * RING)
        yield self.masks.cover.reshape(-1, UPLINKS * RING)
        yield from (self.bins.state, self.bins.backup, self.bins.revision)
        yield self.bins.following

    def _unpack_arrays(
        self, body: bytes, devices: list[int | None], sites: list[int | None]
    ) -> None:
        at = 0
        for array in self._arrays():
            numbers = devices if array is self.sessions.rows else sites
            shape = (len(numbers), *array.shape[1:])
            old = np.frombuffer(body, array.dtype, int(np.prod(shape)), at).reshape(shape)
            at += old.nbytes
            old_rows = [n for n, number in enumerate(numbers) if number is not None]
            array[[number for number in numbers if number is not None]] = old[old_rows]

    def _pack_sessions(self) -> dict[str, Any]:
        sessions = self.sessions
        return {
            "boot": sessions.boot,
            "transitions": [list(times) for times in sessions.transitions],
            "boots": sessions.boots,
            "came_back": sessions.came_back,
            "signals": [list(signals) for signals in sessions.signals],
            "failing": [(self._name(n), list(m.items())) for n, m in sessions.failing.items()],
            "resumed_ms": sessions.resumed_ms,
            "flapping": self._names(self.flapping),
        }

    def _unpack_sessions(self, tree: dict[str, Any], devices: list[int | None]) -> None:
        sessions = self.sessions
        for old, number in enumerate(devices):
            if number is None:
                continue
            sessions.boot[number] = tree["boot"][old]
            sessions.transitions[number] = deque(tree["transitions"][old])
            sessions.boots[number] = tree["boots"][old]
            sessions.came_back[number] = tree["came_back"][old]
            signals = (Signal(*signal) for signal in tree["signals"][old])
            sessions.signals[number] = deque(signals, maxlen=RECALLED)
        failing = [(self.fleet.number_of(name), marks) for name, marks in tree["failing"]]
        sessions.failing.update({n: dict(marks) for n, marks in failing if n is not None})
        sessions.resumed_ms = tree["resumed_ms"]
        self.flapping.update(_numbers(tree["flapping"], self.fleet.number_of))

    def _pack_bins(self) -> dict[str, Any]:
        bins = self.bins
        return {
            "dark": bins.dark,
            "excluded": bins.excluded,
            "stale": sorted(bins.stale),
            "changed": bins.changed,
        }

    def _unpack_bins(self, tree: dict[str, Any], sites: list[int | None]) -> None:
        bins = self.bins
        for old, number in enumerate(sites):
            if number is not None:
                bins.dark[number] = [Dark(*dark) for dark in tree["dark"][old]]
        bins.excluded = [_excluded(*one) for one in tree["excluded"]]
        pairs = [(sites[site], number) for site, number in tree["stale"]]
        bins.stale = {(site, number) for site, number in pairs if site is not None}
        bins.changed = [Bin(*one) for one in tree["changed"]]

    def _pack_book(self) -> dict[str, Any]:
        book, roster, telling = self.book, self.book.roster, self.book.telling
        return {
            "cases": [(number, self._pack_case(case)) for number, case in roster.cases.items()],
            "following": roster.following,
            "waiting": [(self._name(n), due) for n, due in book.waiting.items()],
            "doubts": list(book.doubts.items()),
            "settled": list(telling.settled.items()),
            "changed": sorted(roster.changed),
            "outages": [asdict(outage) for outage in telling.outages],
        }

    def _unpack_book(
        self, tree: dict[str, Any], number_of: NumberOf, sites: list[int | None]
    ) -> None:
        book, roster, telling = self.book, self.book.roster, self.book.telling
        for number, packed in tree["cases"]:
            case = _case(packed, number_of, sites)
            if case is not None:
                roster.cases[number] = case
        roster.following = tree["following"]
        due = [(number_of(name), at) for name, at in tree["waiting"]]
        book.waiting.update({number: at for number, at in due if number is not None})
        book.doubts.update({number: at for number, at in tree["doubts"] if number in roster.cases})
        for old, dark in tree["settled"]:
            site = sites[old]
            if site is not None:
                telling.settled[site] = [Dark(*one) for one in dark]
        roster.changed.update(number for number in tree["changed"] if number in roster.cases)
        telling.outages = [_outage(one) for one in tree["outages"]]
        lost = ~np.isin(self.sessions.rows["case"], list(roster.cases))
        self.sessions.rows["case"][lost] = -1

    def _pack_case(self, case: Case) -> dict[str, Any]:
        tree = asdict(case)
        tree["devices"] = [self._name(number) for number in case.devices]
        tree["silent"] = self._names(case.silent)
        for name in BY_DEVICE:
            tree[name] = [(self._name(n), value) for n, value in tree[name].items()]
        tree["marks"] = [(name, list(marks.items())) for name, marks in tree["marks"]]
        tree["dark"] = [list(dark) for dark in case.dark]
        tree["best"] = [list(dark) for dark in case.best]
        return tree

    def _name(self, number: int) -> str:
        return self.fleet.device(number).device

    def _names(self, numbers: Any) -> list[str]:
        return [self._name(number) for number in sorted(numbers)]


BY_DEVICE = ("boots_before", "boots_after", "uptime_ms", "agent_uptime_ms", "marks")


def _case(tree: dict[str, Any], number_of: NumberOf, sites: list[int | None]) -> Case | None:
    """A case from its tree; None where its site or all its devices are not known any more."""
    tree["site"] = sites[tree["site"]]
    tree["devices"] = _numbers(tree["devices"], number_of)
    if tree["site"] is None or not tree["devices"]:
        return None
    tree["silent"] = set(_numbers(tree["silent"], number_of))
    for name in BY_DEVICE:
        pairs = [(number_of(device), value) for device, value in tree[name]]
        tree[name] = {number: value for number, value in pairs if number is not None}
    tree["marks"] = {number: dict(marks) for number, marks in tree["marks"].items()}
    tree["dark"] = [Dark(*dark) for dark in tree["dark"]]
    tree["best"] = [Dark(*dark) for dark in tree["best"]]
    tree["told"] = tree["told"] and _outage(tree["told"])
    return Case(**tree)


def _outage(tree: dict[str, Any]) -> Outage:
    evidence = Evidence(**tree.pop("evidence"))
    return Outage(**{**tree, "devices": tuple(tree["devices"]), "evidence": evidence})


def _numbers(names: list[str], number_of: NumberOf) -> list[int]:
    numbers = (number_of(name) for name in names)
    return [number for number in numbers if number is not None]


def open_snapshot(state: bytes) -> tuple[dict[str, Any], bytes]:
    """Header and arrays of a snapshot; raises SnapshotError where they cannot be gone on from."""
    if len(state) < HEAD.size:
        raise SnapshotError("the snapshot of connectivity is cut short")
    magic, checksum, length = HEAD.unpack_from(state)
    if magic != MAGIC:
        raise SnapshotError(f"connectivity's snapshot is of version {magic!r}; this is {MAGIC!r}")
    body = state[HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise SnapshotError("the snapshot of connectivity is damaged: its checksum is wrong")
    header: dict[str, Any] = json.loads(body[:length])
    if header["layout"] != _layout():
        raise SnapshotError("the snapshot was taken with another layout of connectivity's state")
    return header, zlib.decompress(body[length:])


def _layout() -> str:
    return f"{STATE} {RING} {sorted(Case.__slots__)}"


def _excluded(window: str, start_ms: int, end_ms: int, sites: list[str] | None) -> Excluded:
    return Excluded(window, start_ms, end_ms, None if sites is None else tuple(sites))
