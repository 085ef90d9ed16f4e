"""Line protocol: whatever a name holds comes back from the real server as it was."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devices.readings import Readings
from storage.influx.lines import Formatter, SeriesName, head, tag_text, tag_value
from storage.influx.server import Address, Server
from storage.series.levels import RAW

AT_MS = 1_790_000_000_123
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
HOSTILE = [
    "a b", "a,b=c", 'say "x"', "it's", "ends\\", "\\", "\\\\", "a\\,b", "a\\ b", "#hash",
    "line\nline", "\r\n", "\t", "\x00", "%", "%0A", "100 %",
    "ບ້ານໂພນສີ", "👩‍🔬", "\u2028", " ", "=", ",", "a\\\n",
    "x 1790000000000000000\npower,device=evil mains_v=1", "'; DROP DATABASE govsense; --",
]  # fmt: skip
numbers = itertools.count()


def name_of(device: str, site: str) -> SeriesName:
    return SeriesName("power", "mains_v", "LA-VT", site, device, 60_000)


def line_of(name: SeriesName, value: float, at_ms: int = AT_MS) -> bytes:
    one = Readings.of([0], [at_ms], [at_ms + 250], [value])
    (line,) = Formatter(lambda _: name).lines(one)
    return line.encode()


@pytest.fixture
def server(address: Address) -> Iterator[Server]:
    """A server with an empty database."""
    server = Server(address)
    yield server
    server.close()


@pytest.mark.influx
@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(device=TEXTS, site=TEXTS, value=st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_come_back(
    server: Server, device: str, site: str, value: float
) -> None:
    """A line with any tag values and any finite number is stored and found by the tag."""
    check_round_trip(server, device, site, value)


@pytest.mark.influx
@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_names_come_back(server: Server, text: str) -> None:
    """Separators, quotes, backslashes, comments, newlines, controls and other scripts."""
    check_round_trip(server, text, text, 1.5)


def check_round_trip(server: Server, device: str, site: str, value: float) -> None:
    """Write one line at a time of its own, and find it by its device."""
    at_ms = AT_MS + next(numbers)
    answer = server.write(RAW, [line_of(name_of(device, site), value, at_ms)])
    assert answer.status == 204, answer
    rows = server.query(
        RAW,
        'SELECT "mains_v", "lag_ms", "device", "site", "province" FROM "power"'
        ' WHERE "device" = $device AND "site" = $site ORDER BY time DESC LIMIT 1',
        device=tag_value(device),
        site=tag_value(site),
    )
    (row,) = rows
    assert (row["time"], float(row["mains_v"]), row["lag_ms"]) == (at_ms, value, 250)
    assert (tag_text(row["device"]), tag_text(row["site"])) == (device, site)
    assert row["province"] == "LA-VT"


@given(TEXTS)
@example("%0A")
def test_a_tag_value_is_read_back(text: str) -> None:
    """What is written of a text tells the text, on one line, with no backslash of its own."""
    value = tag_value(text)
    assert tag_text(value) == text
    assert not {"\n", "\r", "\\"} & set(value)


@given(st.lists(TEXTS, min_size=2, max_size=2, unique=True))
def test_two_names_have_two_heads(texts: list[str]) -> None:
    """No two devices share a series."""
    one, other = (head(name_of(text, "s")) for text in texts)
    assert one != other


@pytest.mark.parametrize("text", ["", "\ud800"])
def test_what_no_tag_can_hold_is_refused(text: str) -> None:
    """An empty tag would be no tag, half a character no UTF-8."""
    with pytest.raises(ValueError, match=r"empty|surrogates"):
        tag_value(text)


@pytest.mark.parametrize(
    "name",
    [
        SeriesName("power\nx", "mains_v", "LA-VT", "s", "d", 1),
        SeriesName("power", "mains_v=1,evil", "LA-VT", "s", "d", 1),
        SeriesName("environment", "mains_v", "LA-VT", "s", "d", 1),
    ],
)
def test_kinds_and_metrics_are_never_free_text(name: SeriesName) -> None:
    """A measurement or field that is in no table is not written."""
    with pytest.raises(KeyError):
        line_of(name, 1.0)


def test_a_round_is_one_line() -> None:
    """Metrics of one device at one time share a line; another time or device begins a new one."""
    names = [
        SeriesName("power", metric, "LA-VT", "s", device, 60_000)
        for device in ("d1", "d2")
        for metric in ("mains_v", "current_a")
    ]
    readings = Readings.of([3, 0, 1, 0], [5, 5, 5, 6], [6, 6, 7, 6], [4.0, 1.0, 2.0, -0.5])
    assert Formatter(lambda n: names[n]).lines(readings) == [
        "power,device=d1,province=LA-VT,site=s mains_v=1.0,current_a=2.0,lag_ms=2.0 5000000",
        "power,device=d1,province=LA-VT,site=s mains_v=-0.5,lag_ms=0.0 6000000",
        "power,device=d2,province=LA-VT,site=s current_a=4.0,lag_ms=1.0 5000000",
    ]


def test_names_are_asked_again_after_a_change() -> None:
    """A device that moved is written with its new site."""
    site = "old"
    describe: Callable[[int], SeriesName] = lambda _: name_of("d", site)  # noqa: E731
    formatter = Formatter(describe)
    readings = Readings.of([0], [5], [6], [4.0])
    assert "site=old" in formatter.lines(readings)[0]
    site = "new"
    assert "site=old" in formatter.lines(readings)[0]
    formatter.forget()
    assert "site=new" in formatter.lines(readings)[0]
