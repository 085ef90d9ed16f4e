"""Recorded series: the ways in which people's files are written, and what is published."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.kinds import KINDS
from devices.registry import Device
from devices.wire import decode
from simulators.identity import Identity
from simulators.recording import Layout, Recording, RecordingError, read_recording, recording_steps
from tests.simulators.country import FACILITY

NOON = round(datetime(2026, 3, 2, 12, 0, tzinfo=UTC).timestamp() * 1000)
LEVEL = KINDS["water-level"].metrics["level_m"]


def read(directory: Path, text: str, layout: Layout | None = None) -> Recording:
    file = directory / "series.csv"
    file.write_text(text, encoding="utf-8")
    return read_recording(file, layout or Layout())


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ("2026-03-02T12:00:00Z,1.5\n", Layout()),
        ("time,value\n2026-03-02T19:00:00+07:00,1.5\n", Layout()),
        ("time,value\n2026-03-02 19:00:00,1.5\n", Layout()),
        ("2026-03-02 12:00:00,1.5\n", Layout(timezone="UTC")),
        ("2026-03-02 13:00:00,1.5\n", Layout(timezone="Europe/Paris")),
        (f"{NOON},1.5\n", Layout()),
        (f"{NOON // 1000},1.5\n", Layout()),
        ("Zeit;Wert\n02.03.2026 19:00;1,5\n", Layout(date_format="%d.%m.%Y %H:%M",
                                                   decimal_comma=True)),
        ("1,5\t02/03/26 19:00\n", Layout(separator="\t", date_format="%d/%m/%y %H:%M",
                                         decimal_comma=True, time_column="2", value_column="1")),
        ("id|level|when\n7|1.5|2026-03-02T12:00:00Z\n", Layout(time_column="when",
                                                              value_column="level")),
        ("\ufeff2026-03-02T12:00:00Z,1.5\r\n\r\n", Layout()),
    ],
)  # fmt: skip
def test_files_of_many_hands(tmp_path: Path, text: str, layout: Layout) -> None:
    """Separators, headers, date formats, time zones, decimal commas and a byte-order mark."""
    assert read(tmp_path, text, layout).points == [(NOON, 1.5)]


def test_rows_are_sorted_and_gaps_are_no_readings(tmp_path: Path) -> None:
    """Points come in order of time; an empty value, NA or NaN is skipped and counted."""
    recording = read(tmp_path, f"{NOON + 2},2\n{NOON},1\n{NOON + 1},\n{NOON + 3},NA\n{NOON},nan\n")
    assert recording.points == [(NOON, 1.0), (NOON + 2, 2.0)]
    assert recording.skipped == 3


@pytest.mark.parametrize(
    ("text", "layout", "words"),
    [
        ("", Layout(), "is empty"),
        ("time,value\n", Layout(), "holds no reading"),
        (f"{NOON},1\nyesterday,2\n", Layout(), "line 2: column 1: is 'yesterday'.*--date-format"),
        ("2569-03-01T08:00:00,1\n", Layout(), "line 1: column 1: .*Buddhist era"),
        (f"{NOON};1,5\n", Layout(), "line 1: column 2: is '1,5'.*decimal comma"),
        (f"{NOON},inf\n", Layout(), "a finite number"),
        (f"{NOON}\n", Layout(), "has 1 columns, not 2"),
        ("a,b\n1,2\n", Layout(value_column="c"), "no column 'c'; it has a, b"),
        (f"{NOON},1\n", Layout(timezone="Moon/Base"), "timezone 'Moon/Base'"),
    ],
)
def test_errors_name_line_and_column(tmp_path: Path, text: str, layout: Layout, words: str) -> None:
    """A cell that cannot be read is refused with file, line, column and what it holds."""
    with pytest.raises(RecordingError, match=words):
        read(tmp_path, text, layout)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that cannot be opened is an error with its name."""
    with pytest.raises(RecordingError, match=r"gone\.csv"):
        read_recording(tmp_path / "gone.csv", Layout())


@given(
    st.lists(st.integers(0, 10**7), min_size=1, max_size=300, unique=True), st.integers(0, 10**7)
)
def test_every_point_is_published_once(offsets: list[int], now: int) -> None:
    """Past points go as backfill, later ones live; together they are the recording."""
    device = Device("tank", FACILITY.site, "water-level", 60.0, 1, {})
    identity = Identity.of(device, FACILITY, seed=1, start_ms=NOON)
    recording = Recording([(NOON + at, at / 1e6) for at in sorted(offsets)])
    now_ms = NOON + now
    steps = list(recording_steps(recording, identity, LEVEL, now_ms=now_ms))
    assert [steps[0].what, steps[-1].what] == ["connect", "leave"]
    assert [s.at_ms for s in steps] == sorted(s.at_ms for s in steps)
    published = [
        (said.at_ms, said.values["level_m"], step.what)
        for step in steps[1:-1]
        for said in decode(step.payload, KINDS["water-level"], now_ms).rounds
    ]
    assert [(at, value) for at, value, _ in published] == recording.points
    for at_ms, _, what in published:
        assert (what == "backfill") == (at_ms < now_ms - 180_000)


def test_shifting_keeps_the_distances() -> None:
    """A recording that begins now is the old one, moved as a whole."""
    recording = Recording([(NOON, 1.0), (NOON + 5_000, 2.0)])
    assert recording.shifted_to(7).points == [(7, 1.0), (5_007, 2.0)]
