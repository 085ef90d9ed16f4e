"""Line protocol: one line for what one device measured at one time, and the escaping of it.

https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/
Measurement and field names come from the table of metrics, never from a message. Tag values may
hold anything. The protocol has no way to write a newline or a backslash at the end of one, and its
parsers differ on backslashes elsewhere, so control characters, `\\` and `%` are written as in a URL
(`%0A`); everything else as the protocol says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from devices.kinds import KINDS
from devices.readings import Readings

LAG = "lag_ms"  # field: receive time less event time of the last message about this time
NANOSECONDS = "000000"  # appended to milliseconds

_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f%\\]")
_SEPARATORS = re.compile(r"[ ,=]")
_WRITTEN = re.compile(r"%([0-9A-F]{2})")


class SeriesName(NamedTuple):
    """What a series number stands for. interval_ms: how often the device reports."""

    kind: str
    metric: str
    province: str
    site: str
    device: str
    interval_ms: int


Describe = Callable[[int], SeriesName]


def tag_value(text: str) -> str:
    """A tag's value as InfluxDB keeps it; `tag_text` is the inverse.

    Raises ValueError for the empty text, which is no tag, and for a lone surrogate.
    """
    if not text:
        raise ValueError("a tag of InfluxDB cannot be empty")
    text.encode()
    return _UNWRITABLE.sub(lambda found: f"%{ord(found[0]):02X}", text)


def tag_text(value: str) -> str:
    """The text that `tag_value` was made of."""
    return _WRITTEN.sub(lambda found: chr(int(found[1], 16)), value)


def head(name: SeriesName) -> str:
    """Measurement and tags of a series' lines, in the order that InfluxDB indexes."""
    tags = {"device": name.device, "province": name.province, "site": name.site}
    pairs = (f"{key}={_SEPARATORS.sub(_escaped, tag_value(tags[key]))}" for key in tags)
    return ",".join([known_kind(name.kind), *pairs])


def known_kind(kind: str) -> str:
    """A kind that may be written as a measurement. Raises KeyError for another text."""
    return KINDS[kind].name


def known_metric(kind: str, metric: str) -> str:
    """A metric that may be written as a field. Raises KeyError for another text."""
    return KINDS[kind].metrics[metric].name


class Formatter:
    """Lines of readings; what it asks about a series it remembers until `forget`."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self.forget()

    def forget(self) -> None:
        """Ask again for names: the registry has changed."""
        self._heads: dict[int, str] = {}
        self._fields: dict[int, str] = {}
        self._owners: dict[str, int] = {}
        self._owner = np.full(0, -1, np.int64)  # [series] the number of its head

    def lines(self, batch: Readings) -> list[str]:
        """One line per device and time, in order of these. `batch` holds no identity twice.

        Raises ValueError for a value that is not finite: InfluxDB has no such floats.
        """
        if not np.isfinite(batch.value).all():
            raise ValueError("a reading's value is not finite")
        owner = self._owner_of(batch.series)
        order = np.lexsort((batch.at_ms, owner))
        batch, owner = batch.take(order), owner[order]
        ends = np.ones(len(batch), np.bool_)
        ends[:-1] = (owner[1:] != owner[:-1]) | (batch.at_ms[1:] != batch.at_ms[:-1])
        return self._format(batch, ends)

    def _format(self, batch: Readings, ends: NDArray[np.bool_]) -> list[str]:
        heads, fields = self._heads, self._fields
        lags = (batch.received_ms - batch.at_ms).tolist()
        columns = (batch.series.tolist(), batch.at_ms.tolist(), batch.value.tolist(), lags)
        found: list[str] = []
        pairs: list[str] = []
        for number, at_ms, value, lag_ms, is_end in zip(*columns, ends.tolist(), strict=True):
            pairs.append(f"{fields[number]}={value!r}")
            if is_end:
                joined = ",".join(pairs)
                found.append(f"{heads[number]} {joined},{LAG}={lag_ms}.0 {at_ms}{NANOSECONDS}")
                pairs.clear()
        return found

    def _owner_of(self, series: NDArray[np.int32]) -> NDArray[np.int64]:
        most = int(series.max()) + 1
        if most > len(self._owner):
            self._owner = np.concatenate([self._owner, np.full(most - len(self._owner), -1)])
        for number in np.unique(series[self._owner[series] < 0]).tolist():
            name = self._describe(number)
            self._heads[number] = head(name)
            self._fields[number] = known_metric(name.kind, name.metric)
            self._owner[number] = self._owners.setdefault(self._heads[number], number)
        return self._owner[series]


def _escaped(found: re.Match[str]) -> str:
    return "\\" + found[0]
