"""The probe's buffer: bounded, nothing goes before it is acknowledged, nothing is sent twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devices.probe.buffer import Buffer
from devices.wire import Round

STEP = st.one_of(
    st.just(("add",)),
    st.tuples(st.just("live"), st.integers(0, 60)),
    st.tuples(st.just("old"), st.integers(1, 5)),
    st.tuples(st.just("ack"), st.integers(0, 30)),
)


@given(st.lists(STEP, max_size=80), st.integers(1, 12))
def test_every_round_is_waiting_in_flight_acknowledged_or_dropped(
    steps: list[tuple[str, int]], size: int
) -> None:
    """After any steps each round is in one place; only waiting rounds are dropped, oldest first."""
    buffer = Buffer(size)
    added = message = 0
    in_flight: dict[int, list[Round]] = {}
    done = 0
    for step in steps:
        if step[0] == "add":
            buffer.add(Round(added, added, {}, None))
            added += 1
        elif step[0] == "ack":
            done += len(in_flight.pop(step[1], []))
            buffer.acknowledged(step[1])
        else:
            fresh = buffer.take_live(step[1]) if step[0] == "live" else None
            rounds = ([fresh] if fresh else []) if step[0] == "live" else buffer.take_old(step[1])
            if rounds:
                assert all(said.at_ms >= step[1] for said in rounds) or step[0] == "old"
                buffer.sent(message, rounds)
                in_flight[message] = rounds
                message += 1
        flying = sum(map(len, in_flight.values()))
        assert len(buffer) + done + buffer.dropped == added
        assert len(buffer) <= max(size, flying + 1)
        assert buffer.messages_in_flight == len(in_flight)
    sent = [said.seq for rounds in in_flight.values() for said in rounds]
    assert len(sent) == len(set(sent))


def test_the_oldest_round_counts_those_in_flight() -> None:
    """The age of the backlog is that of the oldest round that is not acknowledged."""
    buffer = Buffer(5)
    assert buffer.oldest_ms() is None
    for at_ms in (10, 20, 30):
        buffer.add(Round(None, at_ms, {}, None))
    buffer.sent(1, buffer.take_old(1))
    assert buffer.oldest_ms() == 10
    buffer.acknowledged(1)
    assert buffer.oldest_ms() == 20
