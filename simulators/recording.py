"""Recorded series: a CSV of times and values, and the steps that publish it as a device."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from devices.kinds import Metric
from devices.wire import Message, Round, encode, encode_batch
from simulators.feed import BATCH_ROUNDS, Step
from simulators.identity import Identity

SEPARATORS = "\t;|,"  # the comma last: it may be a decimal one
SECONDS_BELOW = 10**11  # a bare number below is seconds since 1970, above milliseconds
BUDDHIST_MS = 13_569_465_600_000  # the year 2400: 2026 is 2569 in the calendar used in offices
DEFAULT_TIMEZONE = "+07:00"


class RecordingError(Exception):
    """A recorded series cannot be read; the text names file, line, column, what it has."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written. "" and None: find out.

    separator: one character. date_format: as strptime has it; without one, ISO 8601 or a number
    of seconds or milliseconds since 1970. time_column, value_column: a name of the header, or a
    number from 1. timezone: of times that do not say: an offset or a name.
    """

    separator: str = ""
    date_format: str = ""
    decimal_comma: bool = False
    time_column: str = "1"
    value_column: str = "2"
    timezone: str = DEFAULT_TIMEZONE


@dataclass(frozen=True, slots=True)
class Recording:
    """Event times (ms since 1970 UTC, ascending) and values. skipped: rows without a value."""

    points: list[tuple[int, float]] = field(default_factory=list)
    skipped: int = 0

    def shifted_to(self, start_ms: int) -> Recording:
        """The same with its first point at start_ms."""
        by_ms = start_ms - self.points[0][0]
        return Recording([(at + by_ms, value) for at, value in self.points], self.skipped)


def read_recording(file: Path, layout: Layout) -> Recording:
    """The series in a CSV file (UTF-8), sorted by time. Raises RecordingError.

    A first row that has neither a time nor a number is a header. An empty value, NA or NaN is a
    reading that was not made.
    """
    zone = parse_timezone(layout.timezone)
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise RecordingError(f"{file}: cannot be read: {exc}") from exc
    rows = list(
        csv.reader(text.splitlines(), delimiter=layout.separator or _separator(text, layout))
    )
    if not rows:
        raise RecordingError(f"{file}: is empty")
    reader = _Reader(file, layout, zone, rows[0])
    points: list[tuple[int, float]] = []
    skipped = 0
    for line, row in enumerate(rows, 1):
        if (line == 1 and reader.has_header) or not row:
            continue
        value = reader.value(line, row)
        if value is None:
            skipped += 1
        else:
            points.append((reader.time(line, row), value))
    if not points:
        raise RecordingError(f"{file}: holds no reading")
    points.sort(key=lambda point: point[0])
    return Recording(points, skipped)


def parse_timezone(text: str) -> tzinfo:
    """A time zone from an offset such as +07:00, or a name. Raises RecordingError."""
    if text.upper() in ("UTC", "Z"):
        return UTC
    try:
        offset = datetime.strptime(text, "%z").utcoffset()
        return timezone(offset or timedelta())
    except ValueError:
        pass
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise RecordingError(f"timezone {text!r}: neither an offset nor a known name") from exc


def _separator(text: str, layout: Layout) -> str:
    """The separator that the first line has most of."""
    first = text.split("\n", 1)[0]
    return max(SEPARATORS[:-1] if layout.decimal_comma else SEPARATORS, key=first.count)


class _Reader:
    """Reads cells of one file."""

    def __init__(self, file: Path, layout: Layout, zone: tzinfo, first: Sequence[str]) -> None:
        self._file = file
        self._layout = layout
        self._zone = zone
        named = [c for c in (layout.time_column, layout.value_column) if not c.isdecimal()]
        self._time_at = self._index(layout.time_column, first)
        self._value_at = self._index(layout.value_column, first)
        self.has_header = bool(named) or self._is_header(first)

    def _is_header(self, first: Sequence[str]) -> bool:
        """Whether the first row has neither a time nor a digit where the value should be."""
        value = self._cell(1, first, self._value_at)
        no_time = self._parse_time(self._cell(1, first, self._time_at)) is None
        return no_time and not any(character.isdecimal() for character in value)

    def time(self, line: int, row: Sequence[str]) -> int:
        """The event time of a row."""
        cell = self._cell(line, row, self._time_at)
        at_ms = self._parse_time(cell)
        if at_ms is None:
            allowed = self._layout.date_format or (
                "ISO 8601 or a number since 1970 (or say what it is with --date-format)"
            )
            raise self._wrong(line, self._layout.time_column, cell, f"a time: {allowed}")
        if at_ms >= BUDDHIST_MS:
            allowed = "a time before 2400 (a year of the Buddhist era? take 543 off)"
            raise self._wrong(line, self._layout.time_column, cell, allowed)
        return at_ms

    def value(self, line: int, row: Sequence[str]) -> float | None:
        """The value of a row, None where it has none."""
        cell = self._cell(line, row, self._value_at)
        text = cell.replace(".", "").replace(",", ".") if self._layout.decimal_comma else cell
        if text.lower() in ("", "na", "nan", "null", "none", "-"):
            return None
        try:
            value = float(text)
        except ValueError as exc:
            hint = "a number" if self._layout.decimal_comma else "a number (decimal comma?)"
            raise self._wrong(line, self._layout.value_column, cell, hint) from exc
        if not math.isfinite(value):
            raise self._wrong(line, self._layout.value_column, cell, "a finite number")
        return value

    def _index(self, column: str, first: Sequence[str]) -> int:
        if column.isdecimal() and int(column) >= 1:
            return int(column) - 1
        names = [cell.strip() for cell in first]
        if column not in names:
            raise RecordingError(f"{self._file}: no column {column!r}; it has {', '.join(names)}")
        return names.index(column)

    def _cell(self, line: int, row: Sequence[str], index: int) -> str:
        if index >= len(row):
            raise RecordingError(
                f"{self._file}: line {line}: has {len(row)} columns, not {index + 1} "
                "(another separator?)"
            )
        return row[index].strip()

    def _parse_time(self, cell: str) -> int | None:
        try:
            if self._layout.date_format:
                moment = datetime.strptime(cell, self._layout.date_format)
            elif cell.replace(".", "", 1).isdecimal():
                number = float(cell)
                return round(number * 1000 if number < SECONDS_BELOW else number)
            else:
                moment = datetime.fromisoformat(cell)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        return round(moment.timestamp() * 1000)

    def _wrong(self, line: int, column: str, got: str, allowed: str) -> RecordingError:
        return RecordingError(
            f"{self._file}: line {line}: column {column}: is {got!r}; it must be {allowed}"
        )


def recording_steps(
    recording: Recording, identity: Identity, metric: Metric, *, now_ms: int
) -> Iterator[Step]:
    """The steps of a device that publishes a recording of one metric.

    What lies more than three intervals before now_ms goes as backfill in batches; the rest as
    live rounds, each at its event time.
    """
    device = identity.device.device
    rounds = [
        Round(seq, at_ms, {metric.name: value != 0 if metric.is_bool else value}, None)
        for seq, (at_ms, value) in enumerate(recording.points, 1)
    ]
    bound_ms = now_ms - 3 * identity.device.interval_s * 1000
    past = [said for said in rounds if said.at_ms < bound_ms]
    yield Step(min(now_ms, rounds[0].at_ms), device, "connect", b"")
    for first in range(0, len(past), BATCH_ROUNDS):
        batch = past[first : first + BATCH_ROUNDS]
        payload = encode_batch(Message(identity.boot, batch, [], None))
        yield Step(batch[-1].at_ms, device, "backfill", payload, batch)
    for said in rounds[len(past) :]:
        payload = encode(Message(identity.boot, [said], [], None))
        yield Step(said.at_ms, device, "telemetry", payload, [said])
    yield Step(rounds[-1].at_ms, device, "leave", b"")
