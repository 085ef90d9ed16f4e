"""Native JSON taken apart field by field, so that one bad part is refused by itself."""

from __future__ import annotations

from typing import Any

from devices.kinds import Kind
from devices.wire import reasons
from devices.wire.json_text import parse_json
from devices.wire.message import (
    BOOT_ALLOWED,
    MAX_AT_MS,
    MAX_ROUNDS,
    MAX_SEQ,
    Message,
    PayloadError,
    Refusal,
    Round,
    is_boot,
    shown,
)

_SINGLE_KEYS = frozenset(("v", "boot", "seq", "ts", "up", "m", "a"))
_BATCH_KEYS = frozenset(("v", "boot", "up", "r"))
_ROUND_KEYS = frozenset(("seq", "ts", "up", "m", "a"))
_KEYS = _SINGLE_KEYS | _BATCH_KEYS


def drop_nulls(
    values: dict[str, float | bool | None], kind: Kind, where: str, refusals: list[Refusal]
) -> dict[str, float]:
    """The values without nulls; a boolean for a quantity is refused."""
    for value in values.values():
        if value is None or value is True or value is False:
            break
    else:
        return values  # type: ignore[return-value]  # no None in it
    kept: dict[str, float] = {}
    for name, value in values.items():
        if value is None:
            continue
        if (value is True or value is False) and _is_quantity(kind, name):
            refusals.append(_bad_value(f"{where}.{shown(name)}", value, "a number"))
        else:
            kept[name] = value
    return kept


def _is_quantity(kind: Kind, name: str) -> bool:
    metric = kind.metrics.get(name)
    return metric is not None and not metric.is_bool


def _bad_value(where: str, value: Any, allowed: str) -> Refusal:
    return Refusal(reasons.BAD_VALUE, where, f"{_got(value)}; allowed: {allowed}")


def _got(value: Any) -> str:
    """As `shown`, but a text in quotes: '3' is refused where 3 is not."""
    return shown(repr(value) if isinstance(value, str) else value)


def decode_leniently(payload: bytes, kind: Kind) -> Message:
    """What a native payload says: whatever is right is kept, each fault is a refusal.

    Raises PayloadError, and nothing else, on any bytes.
    """
    tree = parse_json(payload)
    if not isinstance(tree, dict):
        raise PayloadError(reasons.BAD_JSON, "", "not an object")
    tree = _without_nulls(tree)
    _check_version(tree)
    boot = tree.get("boot")
    if boot is not None and not is_boot(boot):
        raise _envelope("boot", boot, BOOT_ALLOWED)
    if ("m" in tree) == ("r" in tree):
        both = "both m and r" if "m" in tree else "neither m nor r"
        raise PayloadError(reasons.BAD_ENVELOPE, "", f"{both}; allowed: one of them")
    if "r" in tree:
        return _lenient_batch(tree, boot, kind)
    refusals = _unknown_keys(tree, _SINGLE_KEYS, "")
    said, uptime_s = _lenient_round(tree, "", kind, refusals)
    return Message(boot, [said], refusals, uptime_s)


def _without_nulls(tree: dict[str, Any]) -> dict[str, Any]:
    """A key of the contract that is null counts as absent."""
    return {key: value for key, value in tree.items() if value is not None or key not in _KEYS}


def _check_version(tree: dict[str, Any]) -> None:
    version = tree.get("v")
    if type(version) is not int:
        raise _envelope("v", version, "the integer 1")
    if version != 1:
        raise PayloadError(reasons.BAD_VERSION, "v", f"{shown(version)}; allowed: 1")


def _lenient_batch(tree: dict[str, Any], boot: str | None, kind: Kind) -> Message:
    items = tree["r"]
    if not isinstance(items, list):
        raise _envelope("r", items, "a list of rounds")
    if not items:
        raise PayloadError(reasons.EMPTY, "r", "no rounds")
    if len(items) > MAX_ROUNDS:
        raise PayloadError(reasons.OVERSIZE, "r", f"{len(items)} rounds; allowed {MAX_ROUNDS}")
    refusals = _unknown_keys(tree, _BATCH_KEYS, "")
    uptime_s = _uptime(tree, "")
    rounds: list[Round] = []
    for index, item in enumerate(items):
        where = f"r[{index}]"
        try:
            if not isinstance(item, dict):
                raise _envelope(where, item, "an object")
            item = _without_nulls(item)
            unknown = _unknown_keys(item, _ROUND_KEYS, f"{where}.")
            said, round_uptime_s = _lenient_round(item, f"{where}.", kind, unknown)
        except PayloadError as exc:
            refusals.append(Refusal(exc.reason, exc.where, exc.detail))
            continue
        refusals += unknown
        rounds.append(said)
        uptime_s = uptime_s if round_uptime_s is None else round_uptime_s
    return Message(boot, rounds, refusals, uptime_s)


def _lenient_round(
    tree: dict[str, Any], prefix: str, kind: Kind, refusals: list[Refusal]
) -> tuple[Round, float | None]:
    seq, at_ms, values = tree.get("seq"), tree.get("ts"), tree.get("m")
    if seq is not None and not (type(seq) is int and 0 <= seq <= MAX_SEQ):
        raise _envelope(f"{prefix}seq", seq, f"an integer, 0 to {MAX_SEQ}")
    if not (type(at_ms) is int and -MAX_AT_MS <= at_ms <= MAX_AT_MS):
        raise _envelope(f"{prefix}ts", at_ms, "an integer, milliseconds since 1970 UTC")
    if not isinstance(values, dict):
        raise _envelope(f"{prefix}m", values, "an object of metrics")
    attributes = tree.get("a")
    if attributes is not None:
        if not isinstance(attributes, dict):
            raise _envelope(f"{prefix}a", attributes, "an object of texts")
        attributes = _texts(attributes, f"{prefix}a", refusals)
    kept = drop_nulls(_scalars(values, f"{prefix}m", refusals), kind, f"{prefix}m", refusals)
    return Round(seq, at_ms, kept, attributes), _uptime(tree, prefix)


def _scalars(
    values: dict[str, Any], where: str, refusals: list[Refusal]
) -> dict[str, float | bool | None]:
    kept: dict[str, float | bool | None] = {}
    for name, value in values.items():
        if value is None or isinstance(value, bool):
            kept[name] = value
        elif isinstance(value, int | float):
            kept[name] = float(value)
        else:
            at = f"{where}.{shown(name)}"
            refusals.append(_bad_value(at, value, "a number, true, false or null"))
    return kept


def _texts(values: dict[str, Any], where: str, refusals: list[Refusal]) -> dict[str, str]:
    for name, value in values.items():
        if value is not None and not isinstance(value, str):
            refusals.append(_bad_value(f"{where}.{shown(name)}", value, "a text"))
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _uptime(tree: dict[str, Any], prefix: str) -> float | None:
    uptime_s = tree.get("up")
    if uptime_s is None:
        return None
    if isinstance(uptime_s, bool) or not isinstance(uptime_s, int | float) or uptime_s < 0:
        raise _envelope(f"{prefix}up", uptime_s, "seconds, 0 or more")
    return float(uptime_s)


def _unknown_keys(tree: dict[str, Any], known: frozenset[str], prefix: str) -> list[Refusal]:
    allowed = ", ".join(sorted(known))
    return [
        Refusal(reasons.UNKNOWN_KEY, f"{prefix}{shown(key)}", f"allowed: {allowed}")
        for key in tree
        if key not in known
    ]


def _envelope(where: str, got: Any, allowed: str) -> PayloadError:
    return PayloadError(reasons.BAD_ENVELOPE, where, f"{_got(got)}; allowed: {allowed}")
