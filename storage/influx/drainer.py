"""The drainer: takes lines from the spool to InfluxDB, with a cursor of its own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Literal, NamedTuple

from storage.influx.answers import (
    LONGEST_WAIT_S,
    Meaning,
    asked_wait_s,
    meaning_of,
    refuses_all,
)
from storage.influx.server import Answer, Server
from storage.influx.spool import Refused, Spool

LINES_A_REQUEST = 5_000
FIRST_WAIT_S = 0.5  # doubled with each failure in a row
IDLE_S = 0.05
LONGEST_REST_S = 0.1
FAILURES_BEFORE_HALVING = 3
FAILURES_OF_A_LINE = 6  # each after others had passed, before a line is blamed for answers 500

State = Literal["idle", "draining", "waiting", "misconfigured"]


class Condition(NamedTuple):
    """How the drainer is. since_s: time at which this state began. problem: "" when there is none.

    stored: lines that InfluxDB took, refused: lines that it never takes, requests: all of them,
    since the process began.
    """

    state: State
    since_s: float
    problem: str
    stored: int
    refused: int
    requests: int


class Part:
    """Lines that go out in one request, and how often that failed."""

    def __init__(self, level_ms: int, lines: list[bytes], origin: Part | None = None) -> None:
        """origin: the part in which bad lines are sought, where this is a piece of it."""
        self.level_ms = level_ms
        self.lines = lines
        self.origin = origin
        self.twin: Part | None = None  # the other half, which must be bad where this one is good
        self.is_joined = False  # what was left of it behind its first bad line went out at once
        self.failures = 0  # answers 500 to exactly these lines
        self.failures_alone = 0  # of them, those before which others had passed
        self.passed_then = 0  # requests that had gone well when the last of these came

    def halves(self) -> list[Part]:
        """Both halves, the second first: parts are taken from the end."""
        middle = (len(self.lines) + 1) // 2
        return [
            Part(self.level_ms, self.lines[middle:], self.origin),
            Part(self.level_ms, self.lines[:middle], self.origin),
        ]

    def suspects(self) -> list[Part]:
        """Both halves, the second first, where at least one line of them is bad."""
        second, first = self.halves()
        first.origin = second.origin = self.origin or self
        first.twin = second
        return [second, first]


class Drainer:
    """One for each spool. Every call to `step` makes one request at most."""

    def __init__(self, spool: Spool, server: Server, *, chance: random.Random) -> None:
        """chance: where the jitter comes from."""
        self._spool = spool
        self._server = server
        self._chance = chance
        self._parts: list[Part] = []  # of the batches up to _last; the next one is at the end
        self._last = self._committed = 0
        self._refused: list[Refused] = []
        self._damaged = 0
        self._failures = 0  # answers in a row that were no answer
        self._passed = 0  # requests that went well
        self._state: State = "idle"
        self._since_s = 0.0
        self._problem = ""
        self._stored = self._refused_count = self._requests = 0

    @property
    def condition(self) -> Condition:
        """How it goes now."""
        return Condition(
            self._state,
            self._since_s,
            self._problem,
            self._stored,
            self._refused_count,
            self._requests,
        )

    def run(
        self,
        stopping: Callable[[], bool],
        *,
        now_s: Callable[[], float],
        sleep: Callable[[float], object],
        chore: Callable[[], object],
    ) -> None:
        """Drain until told to stop. now_s: seconds since 1970. sleep: may return early.

        It rests as long as a request took: catching up takes at most half of what InfluxDB and this
        machine can do, and what is live gets the rest.

        chore: called after every step, and every 50 ms while there is nothing to send; a request
        to a server that is silent takes up to 30 s.
        """
        while not stopping():
            began_s = now_s()
            wait_s = self.step(began_s)
            took_s = now_s() - began_s
            until_s = now_s() + max(wait_s, min(took_s, LONGEST_REST_S))
            chore()
            while not stopping() and (left_s := until_s - now_s()) > 0:
                sleep(min(left_s, IDLE_S))
                chore()

    def step(self, now_s: float) -> float:
        """Send the next lines; returns after how many seconds the next call makes sense.

        now_s: seconds since 1970. What is called too early is sent too early.
        """
        if not self._parts and not self._take():
            self._commit(now_s)
            self._become("idle", now_s)
            return IDLE_S
        part = self._parts[-1]
        answer = self._server.write(part.level_ms, part.lines)
        self._requests += 1
        wait_s = self._follow(part, answer, now_s)
        if not self._parts:
            self._commit(now_s)
        return wait_s

    def _take(self) -> bool:
        """Take the next batches; False where no line waits. What is damaged is passed over."""
        while batches := self._spool.waiting(after=self._last, most_lines=LINES_A_REQUEST):
            self._last = batches[-1].id
            level_ms = batches[0].level_ms
            lines = [line for batch in batches for line in batch.lines]
            self._damaged += sum(batch.size for batch in batches if not batch.lines)
            starts = range(0, len(lines), LINES_A_REQUEST)
            self._parts = [Part(level_ms, lines[n : n + LINES_A_REQUEST]) for n in starts][::-1]
            if self._parts:
                return True
        return False

    def _commit(self, now_s: float) -> None:
        """Move the cursor: everything up to _last is in InfluxDB or refused."""
        if self._last > self._committed:
            self._spool.drained(
                self._last,
                refused=self._refused,
                damaged=self._damaged,
                now_ms=round(now_s * 1000),
            )
            self._committed = self._last
            self._refused = []
            self._damaged = 0

    def _follow(self, part: Part, answer: Answer, now_s: float) -> float:
        """Do what the table says; returns how long to wait."""
        meaning = meaning_of(answer)
        if meaning is Meaning.STORED:
            return self._go_on(part, now_s)
        self._problem = f"{answer.status}: {answer.text}" if answer.status else answer.text
        if meaning is Meaning.MISCONFIGURED:
            self._server.reset()
            self._become("misconfigured", now_s)
            return LONGEST_WAIT_S
        if meaning is Meaning.REFUSED or (meaning is Meaning.TOO_LARGE and len(part.lines) == 1):
            self._refuse(part, answer)
            return 0.0
        if meaning is Meaning.TOO_LARGE:
            self._parts[-1:] = part.halves()
            return 0.0
        if meaning is Meaning.FAILED:
            if not part.failures:
                part.passed_then = self._passed
            part.failures += 1
            if part.failures >= FAILURES_BEFORE_HALVING or part.origin:
                return self._suspect(part, answer, now_s)
        return self._wait(answer, now_s)

    def _go_on(self, part: Part, now_s: float) -> float:
        self._parts.pop()
        self._stored += len(part.lines)
        self._failures = 0
        self._passed += 1
        self._problem = ""
        self._become("draining", now_s)
        twin = part.twin
        if twin and twin in self._parts[-1:] and len(twin.lines) > 1:
            self._parts[-1:] = twin.suspects()
        return 0.0

    def _refuse(self, part: Part, answer: Answer) -> None:
        """Keep what InfluxDB will never take; halve what may hold good lines."""
        self._failures = 0
        if len(part.lines) > 1 and not refuses_all(answer, len(part.lines)):
            self._parts[-1:] = part.suspects()
            return
        self._parts.pop()
        self._refused_count += len(part.lines)
        self._refused += [Refused(line.decode(), answer.status, answer.text) for line in part.lines]
        self._join_rest(part)

    def _join_rest(self, part: Part) -> None:
        """Behind the first bad line of a part its pieces are one again: most have no second."""
        origin = part.origin
        if origin is None or origin.is_joined:
            return
        origin.is_joined = True
        rest: list[bytes] = []
        while self._parts and self._parts[-1].origin is origin and not self._parts[-1].failures:
            rest += self._parts.pop().lines
        if rest:
            self._parts.append(Part(part.level_ms, rest, origin))

    def _suspect(self, part: Part, answer: Answer, now_s: float) -> float:
        """500 again and again: either the server is ill, or one of these lines makes it so."""
        if len(part.lines) > 1:
            self._parts[-1:] = part.suspects()
            return self._wait(answer, now_s)
        if self._passed > part.passed_then:
            part.failures_alone += 1
        part.passed_then = self._passed
        if part.failures_alone >= FAILURES_OF_A_LINE:
            self._refuse(part, answer)
            return 0.0
        self._parts.pop()
        self._join_rest(part)
        if not self._parts:
            self._take()
        self._parts.insert(0, part)  # the server's health is told by other lines
        return self._wait(answer, now_s)

    def _wait(self, answer: Answer, now_s: float) -> float:
        """Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter"""
        self._become("waiting", now_s)
        self._failures += 1
        asked_s = asked_wait_s(answer, now_s)
        if asked_s is not None:
            return asked_s
        doubled_s = FIRST_WAIT_S * 2 ** min(self._failures, 16)
        return self._chance.uniform(0, min(LONGEST_WAIT_S, doubled_s))

    def _become(self, state: State, now_s: float) -> None:
        if state != self._state:
            self._state = state
            self._since_s = now_s
