"""The outbox: every round of a device, on disk until the platform has receipted it."""

from __future__ import annotations

import heapq
import secrets
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import msgspec

from devices.probe.outbox_file import OutboxError, open_file
from devices.wire import Message, Round, encode

PATIENCE_MS = 300_000  # a round without a receipt is sent again after this, then after twice this
LONGEST_PATIENCE_MS = 6 * 3_600_000  # an absent platform must not fill the broker with repetitions
PARCEL_BYTES = 64 * 1024  # so that a live round never waits long behind older ones on a slow link

_SAID = msgspec.json.Decoder(tuple[dict[str, float | int | bool], dict[str, str] | None])

Key = tuple[int, int]  # number of the boot, seq: in order of age


class Parcel(NamedTuple):
    """Rounds of one boot, oldest first, for one message."""

    boot: str
    rounds: list[Round]


class _State(Enum):
    FRESH = "waits to be sent live"
    WAITING = "waits to be sent as backfill"
    TAKEN = "in a message that the broker has not acknowledged"
    RESTING = "acknowledged by the broker; waits for the receipt"


@dataclass(slots=True)
class _Kept:
    at_ms: int
    state: _State
    sent: bool = False  # the broker has acknowledged it once, in this or an earlier process
    patience_ms: int = PATIENCE_MS
    again_ms: int | None = None


class Outbox:
    """Keeps rounds until they are receipted; when there are `size`, drops the oldest and counts.

    What add() has returned from survives kill -9 and, as far as the disk keeps what it says, loss
    of power. There is no MQTT in here: the caller takes parcels, publishes them and says when the
    broker has acknowledged them. One thread at a time; one process at a time, which a lock on the
    file sees to. A file that SQLite can no longer read is put aside and a new one begun: a device
    that nobody visits must go on.

    path: of the SQLite file, or ":memory:" for devices of a simulation. boot: the name of this run;
    it must never have been used before, so by default it is random.
    """

    def __init__(self, path: Path | str, size: int, *, boot: str = "") -> None:
        self.boot = boot or secrets.token_hex(4)
        self.dropped = 0  # in this boot
        self.unsent = 0  # rounds that the broker does not have yet
        self._size = size
        self._db = open_file(path)
        self._seq = 0
        self._kept: dict[Key, _Kept] = {}
        self._newest: tuple[Key, Round] | None = None  # mostly sent at once: no need to read it
        self._fresh: deque[Key] = deque()
        self._waiting: list[Key] = []  # a heap; a key whose state is another one is stale
        self._untimed: list[Key] = []  # came to rest since overdue() was called last
        self._resting: list[tuple[int, Key]] = []  # a heap, stale as above
        with self._writing() as db:
            db.execute("INSERT INTO boots (boot) VALUES (?)", (self.boot,))
        self._names: dict[int, str] = dict(self._db.execute("SELECT number, boot FROM boots"))
        self._numbers = {name: number for number, name in self._names.items()}
        self._boot = self._numbers[self.boot]
        self._load()

    def __len__(self) -> int:
        return len(self._kept)

    def oldest_unsent_ms(self) -> int | None:
        """Event time of the oldest round that the broker does not have yet, None without one."""
        oldest = min((key for key, kept in self._kept.items() if not kept.sent), default=None)
        return None if oldest is None else self._kept[oldest].at_ms

    def add(self, said: Round, *, late: bool = False) -> int:
        """Keep a round and return its seq: 1 for the first of this boot, then one more each time.

        late: it waits for next_backlog from the start. The round's own seq is ignored. On disk
        when it returns. ValueError for a value that is not
        finite or a round that is too long for a message; OutboxError leaves the seq free.
        """
        seq = self._seq + 1
        key = (self._boot, seq)
        said = said._replace(seq=seq)
        encode(Message(self.boot, [said], [], None))
        row = (*key, said.at_ms, msgspec.json.encode([said.values, said.attributes]))
        with self._writing() as db:
            drop = self._oldest(len(self._kept) - self._size + 1)
            if drop:
                db.executemany("DELETE FROM rounds WHERE boot = ? AND seq = ?", drop)
            db.execute("INSERT INTO rounds (boot, seq, at_ms, said) VALUES (?, ?, ?, ?)", row)
        self._forget(drop)
        self.dropped += len(drop)
        self._seq = seq
        self._kept[key] = _Kept(said.at_ms, _State.FRESH)
        self._newest = key, said
        self.unsent += 1
        if late:
            self._await(key)
        else:
            self._fresh.append(key)
        return seq

    def next_live(self, since_ms: int) -> Parcel | None:
        """Take the oldest round that was never taken and was measured at or after since_ms.

        Rounds before it that are older wait for next_backlog from then on.
        """
        while self._fresh:
            key = self._fresh.popleft()
            if key in self._kept:
                if self._kept[key].at_ms >= since_ms:
                    return self._taken([key])
                self._await(key)
        return None

    def next_backlog(self, most: int) -> Parcel | None:
        """Take up to `most` of the oldest waiting rounds, all of one boot, about 64 KiB at most."""
        keys: list[Key] = []
        size = 0
        while self._waiting and len(keys) < most:
            key = self._waiting[0]
            if self._is_waiting(key):
                size += self._length(key)
                if keys and (key[0] != keys[0][0] or size > PARCEL_BYTES):
                    break
                keys.append(key)
            heapq.heappop(self._waiting)
        return self._taken(keys) if keys else None

    def acknowledged(self, parcel: Parcel) -> None:
        """The broker has a parcel. Its rounds stay until their receipt, also in the next process.

        After an OutboxError only the next process does not know that they were sent.
        """
        number = self._numbers[parcel.boot]
        fresh: list[Key] = []
        for said in parcel.rounds:
            key = (number, said.seq or 0)
            kept = self._kept.get(key)
            if kept is None or kept.state is not _State.TAKEN:
                continue
            if not kept.sent:
                fresh.append(key)
                self.unsent -= 1
            kept.sent, kept.state, kept.again_ms = True, _State.RESTING, None
            self._untimed.append(key)
        if fresh:
            with self._writing() as db:
                db.executemany("UPDATE rounds SET sent = 1 WHERE boot = ? AND seq = ?", fresh)

    def receipt(self, boot: str, seq: int) -> int:
        """Let go of the rounds of a boot up to seq; returns how many.

        A round that the broker never had stays all the same: the platform may have given up
        waiting for it, which its receipts pass over.
        """
        keys = [key for key in self._range(boot, 0, seq) if self._kept[key].sent]
        if keys:
            with self._writing() as db:
                db.executemany("DELETE FROM rounds WHERE boot = ? AND seq = ?", keys)
        self._forget(keys)
        return len(keys)

    def resend(self, boot: str, first: int, last: int) -> int:
        """Send what is still here of a range again, both ends included; returns how many."""
        keys = [k for k in self._range(boot, first, last) if self._is_resting(k)]
        for key in keys:
            self._await(key)
        return len(keys)

    def session_lost(self) -> None:
        """The broker has forgotten the session: everything without a receipt goes again."""
        for key in self._kept:
            if self._is_resting(key):
                self._await(key)

    def overdue(self, now_ms: int) -> int:
        """Send again what rests without a receipt for five minutes, then ten and so on, to 6 h.

        now_ms: of any clock that never jumps; to be called often. Returns how many.
        """
        for key in self._untimed:
            kept = self._kept.get(key)
            if kept is not None and kept.state is _State.RESTING and kept.again_ms is None:
                kept.again_ms = now_ms + kept.patience_ms
                heapq.heappush(self._resting, (kept.again_ms, key))
        self._untimed.clear()
        count = 0
        while self._resting and self._resting[0][0] <= now_ms:
            again_ms, key = heapq.heappop(self._resting)
            kept = self._kept.get(key)
            if kept is None or kept.state is not _State.RESTING or kept.again_ms != again_ms:
                continue
            kept.patience_ms = min(kept.patience_ms * 2, LONGEST_PATIENCE_MS)
            self._await(key)
            count += 1
        return count

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._db.close()

    def _load(self) -> None:
        damaged: list[Key] = []
        for number, seq, at_ms, said, sent in self._db.execute(
            "SELECT boot, seq, at_ms, said, sent FROM rounds ORDER BY boot, seq"
        ):
            if not _is_readable(said):
                damaged.append((number, seq))
                continue
            state = _State.RESTING if sent else _State.WAITING
            self._kept[number, seq] = _Kept(at_ms, state, bool(sent))
            if sent:
                self._untimed.append((number, seq))
            else:
                self._waiting.append((number, seq))
                self.unsent += 1
        if damaged:  # SQLite has no checksums, and one bad round must not stop every start
            with self._writing() as db:
                db.executemany("DELETE FROM rounds WHERE boot = ? AND seq = ?", damaged)
            self.dropped += len(damaged)

    def _forget(self, keys: list[Key]) -> None:
        for key in keys:
            self.unsent -= not self._kept.pop(key).sent

    def _oldest(self, count: int) -> list[Key]:
        if count <= 0:
            return []
        query = "SELECT boot, seq FROM rounds ORDER BY boot, seq LIMIT ?"
        return list(self._db.execute(query, (count,)))

    def _range(self, boot: str, first: int, last: int) -> list[Key]:
        """The keys of a boot's rounds that are here."""
        query = "SELECT boot, seq FROM rounds WHERE boot = ? AND seq BETWEEN ? AND ?"
        return list(self._db.execute(query, (self._numbers.get(boot, -1), first, last)))

    def _length(self, key: Key) -> int:
        query = "SELECT length(said) FROM rounds WHERE boot = ? AND seq = ?"
        return int(self._db.execute(query, key).fetchone()[0])

    def _taken(self, keys: list[Key]) -> Parcel:
        rounds = [self._round(key) for key in keys]
        for key in keys:
            self._kept[key].state = _State.TAKEN
        return Parcel(self._names[keys[0][0]], rounds)

    def _round(self, key: Key) -> Round:
        if self._newest is not None and self._newest[0] == key:
            return self._newest[1]
        query = "SELECT said FROM rounds WHERE boot = ? AND seq = ?"
        values, attributes = _SAID.decode(self._db.execute(query, key).fetchone()[0])
        return Round(key[1], self._kept[key].at_ms, values, attributes)

    def _await(self, key: Key) -> None:
        self._kept[key].state = _State.WAITING
        heapq.heappush(self._waiting, key)

    def _is_waiting(self, key: Key) -> bool:
        return key in self._kept and self._kept[key].state is _State.WAITING

    def _is_resting(self, key: Key) -> bool:
        return self._kept[key].state is _State.RESTING

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: wholly on disk at its end, or OutboxError and nothing."""
        try:
            with self._db:
                yield self._db
        except sqlite3.OperationalError as exc:
            raise OutboxError(f"the outbox cannot be written: {exc}") from exc


def _is_readable(said: bytes) -> bool:
    try:
        _SAID.decode(said)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True
