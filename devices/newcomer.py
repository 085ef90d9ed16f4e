"""What a device that nobody knows yet says of itself, from the messages that it sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from devices.kinds import KINDS, Kind
from devices.wire import PayloadError, decode, decode_status

ANY = Kind("", {})  # of which nothing is known: every metric is passed on as it came
MOST_METRICS = 100


@dataclass(slots=True)
class Said:
    """kind, interval_s, firmware: of its newest status that says so, else None.

    metrics: of which it sent a value, in order of name, at most MOST_METRICS.
    """

    kind: str | None = None
    interval_s: float | None = None
    firmware: str | None = None
    metrics: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        """The kinds that have all of the metrics; none where it sent no metric."""
        if not self.metrics:
            return []
        return [kind for kind in KINDS if not self.unknown_to(kind)]

    def unknown_to(self, kind: str) -> list[str]:
        """The metrics that a kind does not have."""
        return [name for name in self.metrics if name not in KINDS[kind].metrics]


def said_in(messages: Iterable[tuple[str, bytes, int]]) -> Said:
    """What (channel, payload, receive time in ms) of one device say, the newest first.

    What cannot be read says nothing.
    """
    said = Said()
    metrics: set[str] = set()
    for channel, payload, received_ms in messages:
        try:
            if channel == "status":
                _take_status(payload, said)
            else:
                message = decode(payload, kind=ANY, received_ms=received_ms)
                metrics.update(name for one in message.rounds for name in one.values)
        except PayloadError:
            continue
    said.metrics = sorted(metrics)[:MOST_METRICS]
    return said


def _take_status(payload: bytes, said: Said) -> None:
    status = decode_status(payload)
    said.kind = said.kind or status.kind
    said.interval_s = said.interval_s or status.interval_s
    said.firmware = said.firmware or status.fw
