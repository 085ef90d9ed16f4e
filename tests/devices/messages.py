"""Messages for the tests of the wire, and strategies that make any."""

from __future__ import annotations

from hypothesis import strategies as st

from devices.kinds import KINDS, Kind
from devices.wire import Message, PayloadError, Round, decode

PROBE = KINDS["connectivity-probe"]
NOW = 1_790_000_060_000  # when the platform receives, in these tests
AT = 1_790_000_000_123


def read(payload: bytes | str, kind: Kind = PROBE) -> Message:
    """What a payload of a probe says, received at NOW."""
    return decode(payload.encode() if isinstance(payload, str) else payload, kind, NOW)


def fault(payload: bytes | str, kind: Kind = PROBE) -> tuple[str, str]:
    """Reason and place for which a payload is refused as a whole; it must be."""
    try:
        message = read(payload, kind)
    except PayloadError as exc:
        return exc.reason, exc.where
    raise AssertionError(f"not refused: {message}")


def refused(message: Message) -> list[tuple[str, str]]:
    """Reason and place of each part that was refused."""
    return [(refusal.reason, refusal.where) for refusal in message.refusals]


_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
_ATTRIBUTES = st.dictionaries(st.sampled_from(["link_active", "public_ip", "x y"]), _TEXTS)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Kind, Message]:
    """A kind and what a device of it may say: rounds of distinct times that hold something."""
    kind = KINDS[draw(st.sampled_from(sorted(KINDS)))]
    counts = draw(st.booleans())
    rounds = []
    times = st.integers(2**28 * 1000, 4_102_444_800_000)
    for at_ms in draw(st.lists(times, min_size=1, max_size=4, unique=True)):
        names = draw(st.lists(st.sampled_from(sorted(kind.metrics)), min_size=1, unique=True))
        values: dict[str, float] = {
            name: draw(st.booleans() if kind.metrics[name].is_bool else _FINITE) for name in names
        }
        seq = draw(st.integers(0, 2**53 - 1)) if counts else None
        rounds.append(Round(seq, at_ms, values, draw(_ATTRIBUTES) or None))
    named = st.characters(codec="utf-8", exclude_characters="\0")
    boot = draw(st.none() | st.text(named, min_size=1, max_size=64))
    uptime_s = draw(st.none() | st.floats(0, 1e10))
    return kind, Message(boot, rounds, [], uptime_s)
