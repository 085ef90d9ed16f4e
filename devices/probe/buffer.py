"""Rounds that the broker has not acknowledged: bounded, in memory, in order of event time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from devices.wire import Round


class Buffer:
    """Keeps rounds until they are acknowledged; when full, drops the oldest that waits.

    A round waits, is taken into a message (in flight), and goes when that is acknowledged.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._waiting: deque[Round] = deque()
        self._in_flight: dict[int, Sequence[Round]] = {}
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting) + sum(len(rounds) for rounds in self._in_flight.values())

    @property
    def messages_in_flight(self) -> int:
        """Messages that were sent and are not acknowledged."""
        return len(self._in_flight)

    def oldest_ms(self) -> int | None:
        """Event time of the oldest round that is kept, None when there is none."""
        times = [rounds[0].at_ms for rounds in self._in_flight.values()]
        times += [self._waiting[0].at_ms] if self._waiting else []
        return min(times, default=None)

    def add(self, said: Round) -> None:
        """Keep one more round."""
        if len(self) >= self._size and self._waiting:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(said)

    def take_live(self, since_ms: int) -> Round | None:
        """The oldest waiting round that was measured at or after since_ms, out of the buffer."""
        for index, said in enumerate(self._waiting):
            if said.at_ms >= since_ms:
                del self._waiting[index]
                return said
        return None

    def take_old(self, most: int) -> list[Round]:
        """Up to `most` of the oldest waiting rounds, out of the buffer."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def sent(self, message: int, rounds: Sequence[Round]) -> None:
        """These rounds went out in a message of this number."""
        self._in_flight[message] = rounds

    def acknowledged(self, message: int) -> None:
        """The broker has a message: its rounds are let go."""
        self._in_flight.pop(message, None)
