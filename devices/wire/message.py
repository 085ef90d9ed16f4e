"""What a payload says once it is decoded, what was refused of it, and the limits on both."""

from __future__ import annotations

from typing import Any, NamedTuple

from devices.wire import reasons

MAX_BYTES = 256 * 1024
MAX_ROUNDS = 1000
MAX_FIELDS = 256
MAX_DEPTH = 8
MAX_RECORDS = 16_384  # of a SenML pack: more than fit into MAX_BYTES when each says something
MAX_REFUSALS = 256  # listed of one message; its payload is kept whole
MAX_AT_MS = 8_640_000_000_000_000  # the year 275760: far inside int64, so that sums cannot overflow
MAX_SEQ = 2**53 - 1  # integers that every JSON reader keeps exactly
MAX_BOOT = 64
BOOT_ALLOWED = f"a text of 1 to {MAX_BOOT} characters, none of them U+0000"
_SHOWN = 80  # of an offending text in a refusal; the whole payload is kept beside it


class Refusal(NamedTuple):
    """One part that was refused. where: a path such as `r[3].m.dns_ms`, "" for the whole."""

    reason: str
    where: str
    detail: str


class PayloadError(ValueError):
    """The whole payload is refused. reason: one of devices.wire.reasons.REASONS."""

    def __init__(self, reason: str, where: str, detail: str) -> None:
        super().__init__(f"{reason} at {where or 'the payload'}: {detail}")
        self.reason = reason
        self.where = where
        self.detail = detail


class Round(NamedTuple):
    """One measurement cycle. at_ms: event time, milliseconds since 1970 UTC.

    values: by metric name, finite, in the metric's unit; True and False for booleans. What was
    not measured is absent. seq: None where the device does not count its rounds.
    """

    seq: int | None
    at_ms: int
    values: dict[str, float]
    attributes: dict[str, str] | None


class Message(NamedTuple):
    """The rounds of one payload, in its order, and what was refused beside them.

    boot: names the device's run since it started, None where it does not say. uptime_s: of the
    last round that says so.
    """

    boot: str | None
    rounds: list[Round]
    refusals: list[Refusal]
    uptime_s: float | None


def listed(message: Message) -> Message:
    """The message with at most MAX_REFUSALS of its refusals, and the number of the others."""
    more = len(message.refusals) - MAX_REFUSALS
    if more <= 0:
        return message
    refusals = message.refusals[:MAX_REFUSALS]
    refusals.append(Refusal(message.refusals[-1].reason, "", f"and {more} more refusals"))
    return message._replace(refusals=refusals)


def is_boot(text: Any) -> bool:
    """Whether it may name a run of a device. PostgreSQL has no texts with U+0000."""
    return isinstance(text, str) and 0 < len(text) <= MAX_BOOT and "\0" not in text


def shown(value: Any) -> str:
    """A value as short printable text for a refusal."""
    text = value if isinstance(value, str) and value.isprintable() else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def check_size(payload: bytes) -> None:
    """Raise PayloadError when a payload is empty or too long."""
    if not payload:
        raise PayloadError(reasons.EMPTY, "", "no payload")
    if len(payload) > MAX_BYTES:
        detail = f"{len(payload)} bytes; allowed {MAX_BYTES}"
        raise PayloadError(reasons.OVERSIZE, "", detail)


def check_structure(tree: Any, depth: int = 1) -> None:
    """Raise PayloadError when parsed JSON is too deep, has too many fields or too large a number.

    A top-level array may hold any number of items: their number is limited by what they mean.
    """
    if isinstance(tree, dict | list):
        if depth > MAX_DEPTH:
            raise PayloadError(reasons.TOO_DEEP, "", f"deeper than {MAX_DEPTH}")
        if isinstance(tree, dict) and len(tree) > MAX_FIELDS:
            detail = f"{len(tree)} fields in one object; allowed {MAX_FIELDS}"
            raise PayloadError(reasons.TOO_MANY_FIELDS, "", detail)
        for item in tree.values() if isinstance(tree, dict) else tree:
            check_structure(item, depth + 1)
    elif isinstance(tree, int):
        to_double(tree, "")


def to_double(number: float, where: str) -> float:
    """A number as a float; PayloadError when it is beyond a double."""
    try:
        return float(number)
    except OverflowError as exc:
        detail = f"an integer of {number.bit_length() if isinstance(number, int) else 0} bits"
        raise PayloadError(reasons.NUMBER_TOO_LARGE, where, detail) from exc
