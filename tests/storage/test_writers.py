"""Several writers of one PostgreSQL: each with connections of its own, all at once."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import count

import pytest
from sqlalchemy import Connection, text

from storage.ledger import events, progress, totals
from storage.ledger.actions import Deed
from storage.ledger.alerts import AlertRow, get_alert, open_alerts
from storage.ledger.events import Event, add_events
from storage.ledger.facts import DeviceSeen, Facts, commit
from storage.ledger.handling import NotPossibleError, acknowledge
from storage.ledger.migrations import Ledger, LedgerAwayError, open_ledger
from storage.ledger.transactions import in_transaction
from tests.storage import postgresql
from tests.storage.test_alerts import NOW, change, said

pytestmark = pytest.mark.postgresql
WRITERS = 8
_numbers = count()


@pytest.fixture
def url(postgresql_server: str) -> Iterator[str]:
    """An empty database."""
    with postgresql.database(postgresql_server, f"writers{next(_numbers)}") as url:
        yield url


@contextmanager
def opened(url: str, number: int) -> Iterator[list[Ledger]]:
    """So many ledgers with connections of their own, opened at once, as processes do."""
    with ThreadPoolExecutor(number) as pool:
        ledgers = list(pool.map(lambda _: open_ledger(url), range(number)))
    yield ledgers
    for ledger in ledgers:
        ledger.close()


def at_once(*works: Callable[[], object]) -> None:
    """Run all in threads of their own; what one raises is raised here."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait()
        work()

    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(run, work) for work in works]:
            done.result()


def test_a_new_ledger_is_opened_by_many_at_once(url: str) -> None:
    """Ingest's processes and the API start together on an empty database; one makes the tables."""
    with opened(url, WRITERS) as ledgers:
        assert [events.last_id(ledger) for ledger in ledgers] == [0] * WRITERS


def test_one_firing_wins_and_the_others_go_on(url: str) -> None:
    """Of workers that find the same fault at once, one opens the alert, and all commit the rest."""
    rules = [f"rule-{n}" for n in range(20)]

    def work(ledger: Ledger, worker: int) -> None:
        rng = random.Random(worker)
        for state, at_ms in (("firing", NOW), ("resolved", NOW + 1)):
            order = rng.sample(rules, len(rules))
            made = [change(state, f"w{worker}-{rule}", at_ms, rule=rule) for rule in order]  # type: ignore[arg-type]
            if state == "resolved":
                everybody.wait()  # while the winners are open, everybody has tried
            for part in (made[:7], made[7:]):
                commit(ledger, Facts(1, part, totals={"messages_stored": 1}), now_ms=NOW)

    with opened(url, WRITERS) as ledgers:
        everybody = threading.Barrier(WRITERS, action=lambda: found.append(open_alerts(ledgers[0])))
        found: list[list[AlertRow]] = []
        at_once(*(partial(work, ledger, n) for n, ledger in enumerate(ledgers)))
        assert len(found[0]) == len(rules)
        told = Counter(
            (event.data["rule"], event.data["state"])
            for event in events.since(ledgers[0], 0, 10**6)
        )
        assert told == dict.fromkeys(
            [(rule, state) for rule in rules for state in ("firing", "resolved")], 1
        )
        assert open_alerts(ledgers[0]) == []
        assert totals.read(ledgers[0]).counts == {"messages_stored": 4 * WRITERS}


def test_counts_of_all_writers_add_up(url: str) -> None:
    """Totals and accounting are exact, whatever the order in which writers name them."""
    commits = 25
    names = [f"total-{n}" for n in range(12)]
    devices = [f"probe-{n}" for n in range(12)]

    def work(ledger: Ledger, worker: int) -> None:
        rng = random.Random(worker)
        for _ in range(commits):
            facts = Facts(
                1,
                device_seen=[DeviceSeen(d, NOW, {}, None) for d in rng.sample(devices, 12)],
                accounting={(d, 0): (1, 0, 0, 0) for d in rng.sample(devices, 12)},
                totals=dict.fromkeys(rng.sample(names, 12), 1),
            )
            commit(ledger, facts, now_ms=NOW)

    with opened(url, WRITERS) as ledgers:
        at_once(*(partial(work, ledger, n) for n, ledger in enumerate(ledgers)))
        assert totals.read(ledgers[0]).counts == dict.fromkeys(names, commits * WRITERS)
        assert {received(ledgers[0], d) for d in devices} == {commits * WRITERS}


def received(ledger: Ledger, device: str) -> int:
    """Rounds of the device in hour 0."""
    query = text("SELECT received FROM accounting WHERE device = :device")
    with ledger.read() as connection:
        return int(connection.execute(query, {"device": device}).scalar_one())


def test_an_acknowledgement_meets_the_end_of_its_alert(url: str) -> None:
    """Who comes first is kept, who comes second is told or kept: never lost, never told twice."""
    with opened(url, 3) as (api, other_api, ingest):
        for n in range(40):
            alert = f"a{n}"
            commit(ingest, Facts(n, [change("firing", alert)]), now_ms=NOW)
            outcomes: list[str] = []

            def seen(ledger: Ledger, by: str, alert: str, outcomes: list[str]) -> None:
                try:
                    acknowledge(ledger, alert, Deed("me", "me", NOW + 1), by=by, comment="")
                    outcomes.append(by)
                except NotPossibleError:
                    pass

            at_once(
                partial(seen, api, "first", alert, outcomes),
                partial(seen, other_api, "second", alert, outcomes),
                partial(commit, ingest, Facts(1, [change("resolved", alert)]), now_ms=NOW),
            )
            row = get_alert(ingest, alert)
            assert row is not None
            assert row.state == "resolved"
            assert row.acknowledged_by == (outcomes[0] if outcomes else None)
            told = [state for which, state in said(ingest) if which == alert]
            middle = ["acknowledged"] if outcomes else []
            assert len(outcomes) <= 1
            assert told == ["firing", *middle, "resolved"]


def test_a_reader_of_events_misses_none(url: str) -> None:
    """However long writers take to commit, who reads on from the last number sees every event."""
    made, rng = 30, random.Random(5)
    pauses = [rng.random() / 100 for _ in range(made)]

    def write(ledger: Ledger, worker: int) -> None:
        for n in range(made):
            with ledger.begin() as connection:
                add_events(connection, [Event(NOW, "device", {"event": f"{worker}-{n}"})])
                connection.execute(text("SELECT pg_sleep(:s)"), {"s": pauses[(n + worker) % made]})

    seen: list[str] = []
    with opened(url, 5) as ledgers:
        writing = [partial(write, ledger, n) for n, ledger in enumerate(ledgers[:4])]
        done = threading.Event()

        def all_written() -> None:
            at_once(*writing)
            done.set()

        def read_until_done() -> None:
            position = 0
            while True:
                is_last = done.is_set()
                for event in events.since(ledgers[4], position, 500):
                    seen.append(event.data["event"])
                    position = event.id
                if is_last:
                    return

        at_once(all_written, read_until_done)
    assert sorted(seen) == sorted(f"{w}-{n}" for w in range(4) for n in range(made))


def test_an_event_waits_for_the_one_before_it(url: str) -> None:
    """A number is taken only when the transaction with the number before it has ended."""
    with opened(url, 2) as (one, other):
        order: list[str] = []

        def second() -> None:
            with other.begin() as connection:
                add_events(connection, [Event(NOW, "device", {"n": 2})])
                order.append("second")

        thread = threading.Thread(target=second)
        with one.begin() as connection:
            add_events(connection, [Event(NOW, "device", {"n": 1})])
            thread.start()
            _wait_for_a_waiter(connection)
            assert events.last_id(other) == 0
            order.append("first")
        thread.join()
        assert order == ["first", "second"]
        assert [event.data["n"] for event in events.since(one, 0, 10)] == [1, 2]


def _wait_for_a_waiter(connection: Connection) -> None:
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    deadline = time.monotonic() + 10
    while not connection.execute(waiting).scalar_one():
        assert time.monotonic() < deadline, "nobody waits"


def test_a_deadlock_is_begun_again(url: str) -> None:
    """Whom PostgreSQL chooses to break a deadlock runs once more, and both are committed."""
    runs: Counter[str] = Counter()
    with opened(url, 2) as (one, other):
        commit(one, Facts(1, totals={"a": 1, "b": 1}), now_ms=NOW)
        both_hold_one = threading.Barrier(2)

        def work(first: str, second: str) -> Callable[[Connection], None]:
            def put(connection: Connection) -> None:
                runs[first] += 1
                add = text("UPDATE totals SET value = value + 1 WHERE name = :name")
                connection.execute(add, {"name": first})
                if runs[first] == 1:
                    both_hold_one.wait(10)
                connection.execute(add, {"name": second})

            return put

        at_once(
            lambda: in_transaction(one, work("a", "b")),
            lambda: in_transaction(other, work("b", "a")),
        )
        assert totals.read(one).counts == {"a": 3, "b": 3}
    once, again = sorted(runs.values())
    assert once == 1
    assert again >= 2  # it may be chosen more than once


def test_one_processor_moves_the_cursor(url: str) -> None:
    """A second ingest waits until the first has gone, and says why."""
    with opened(url, 2) as (one, other):
        with (
            progress.alone(one),
            pytest.raises(LedgerAwayError, match="another ingest processes into this ledger"),
            progress.alone(other),
        ):
            pytest.fail("both are alone")
        with progress.alone(other):
            assert progress.position(other) == 0
