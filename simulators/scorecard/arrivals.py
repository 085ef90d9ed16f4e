"""What arrived: the rounds of a capture in order of arrival, and which of them were late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from simulators.scorecard.alarms import Alarm
from simulators.scorecard.files import EvaluationError, Place, World

LEAST_LATENESS_MS = 120_000  # docs/protocol.md: three intervals, and two minutes at least
LATE_INTERVALS = 3
EFFECT_MS = 90_000  # what late rounds bring about is told within a minute, and a tick or two


class Round(msgspec.Struct):
    """A round of native JSON, or a batch of them in `r`. ts: event time, ms since 1970 UTC."""

    ts: int | None = None
    m: dict[str, Any] = {}
    r: list[Round] = []


class Arrival(NamedTuple):
    """A message of a known device on a channel; at_ms: when it was received."""

    at_ms: int
    device: str
    channel: str
    rounds: Sequence[Round]


class _Message(msgspec.Struct):
    at: int
    topic: str
    payload: str = ""


def arrivals(capture: Path, devices: dict[str, Place]) -> Iterator[Arrival]:
    """The messages of native JSON on telemetry and backfill, in order of arrival.

    What is not native JSON is left out. Raises EvaluationError for a line that is not a capture's.
    """
    messages = msgspec.json.Decoder(_Message)
    rounds = msgspec.json.Decoder(Round)
    with capture.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                message = messages.decode(line)
            except msgspec.DecodeError as exc:
                raise EvaluationError(f"{capture}:{number}: {exc}: {line[:120]!r}") from exc
            *_, device, channel = message.topic.split("/") if "/" in message.topic else ("", "")
            if channel not in ("telemetry", "backfill") or device not in devices:
                continue
            try:
                payload = rounds.decode(message.payload)
            except msgspec.DecodeError:
                continue
            yield Arrival(message.at, device, channel, payload.r or (payload,))


class Late:
    """The late rounds of a capture: their arrival and event times, by device, as they came."""

    def __init__(self, devices: dict[str, Place]) -> None:
        self._bound_ms = {
            name: max(LEAST_LATENESS_MS, LATE_INTERVALS * place.interval_ms)
            for name, place in devices.items()
        }
        self._rounds: dict[str, list[tuple[int, int]]] = {}

    def watching(self, arrived: Iterable[Arrival]) -> Iterator[Arrival]:
        """The same arrivals; notes which of their rounds are late."""
        for arrival in arrived:
            latest_ms = arrival.at_ms - self._bound_ms[arrival.device]
            for one in arrival.rounds:
                if one.ts is not None and one.ts < latest_ms:
                    self._rounds.setdefault(arrival.device, []).append((arrival.at_ms, one.ts))
            yield arrival

    def pages(self, alarms: Iterable[Alarm], world: World) -> int:
        """How many alarms told somebody of what only late rounds told us of.

        Above info and not marked as backfilled; and known within 90 s after late
        rounds of what they name had come, of the time when they began, when that lay beyond the
        lateness bound. A round does not look late while the clock of its device is wrong.
        """
        return sum(
            self._is_from_late(alarm, world)
            for alarm in alarms
            if not alarm.backfilled and alarm.severity != "info"
        )

    def _is_from_late(self, alarm: Alarm, world: World) -> bool:
        at = world.devices_at_sites
        named = alarm.devices or tuple(d for site in alarm.sites for d in at.get(site, ()))
        for device in named:
            interval_ms, bound_ms = world.devices[device].interval_ms, self._bound_ms[device]
            wrong = [f for f in world.faults if f.cause == "clock" and device in f.devices]
            for received_ms, event_ms in self._rounds.get(device, ()):
                if any(fault.start <= received_ms <= fault.end for fault in wrong):
                    continue
                told = alarm.at_ms - EFFECT_MS <= received_ms <= alarm.at_ms
                was_late = alarm.began_ms < received_ms - bound_ms
                if told and was_late and abs(event_ms - alarm.began_ms) <= interval_ms:
                    return True
        return False
