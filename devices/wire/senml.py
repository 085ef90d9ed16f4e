"""Telemetry as a SenML pack (RFC 8428), in JSON and in CBOR, in both directions.

Records of one time are one round. A record's name (bn + n) is a metric, by itself or after the
last ':' or '/'. Texts (vs) are attributes. The names seq, boot and up carry what the envelope
carries in native JSON, so that all formats say the same.
"""

from __future__ import annotations

from typing import Any

import cbor2
import msgspec

from devices.kinds import Kind
from devices.wire import reasons
from devices.wire.cbor import parse_cbor
from devices.wire.json_text import parse_json
from devices.wire.message import MAX_BYTES, MAX_ROUNDS, Message, PayloadError, Round
from devices.wire.native import check_finite
from devices.wire.senml_records import RELATIVE_S, Pack
from devices.wire.units import SENML_UNITS

# RFC 8428 table 4
LABELS: dict[str, int] = {
    "bver": -1,
    "bn": -2,
    "bt": -3,
    "bu": -4,
    "bv": -5,
    "bs": -6,
    "n": 0,
    "u": 1,
    "v": 2,
    "vs": 3,
    "vb": 4,
    "s": 5,
    "t": 6,
    "ut": 7,
    "vd": 8,
}
_NAMES = {label: name for name, label in LABELS.items()}


def decode_senml_json(payload: bytes, kind: Kind, received_ms: int) -> Message:
    """What a pack in JSON says. Raises PayloadError, and nothing else, on any bytes."""
    return Pack(kind, received_ms).read(parse_json(payload))


def decode_senml_cbor(payload: bytes, kind: Kind, received_ms: int) -> Message:
    """What a pack in CBOR says. Raises PayloadError, and nothing else, on any bytes."""
    tree = parse_cbor(payload)
    if isinstance(tree, list):
        tree = [_named(record) if isinstance(record, dict) else record for record in tree]
    return Pack(kind, received_ms).read(tree)


def _named(record: dict[int | str, Any]) -> dict[str, Any]:
    named = {
        _NAMES.get(key, str(key)) if isinstance(key, int) else key: record[key] for key in record
    }
    if len(named) != len(record):
        raise PayloadError(reasons.BAD_CBOR, "", "a field by label and by name in one record")
    return named


def encode_senml_json(message: Message, kind: Kind) -> bytes:
    """The pack of a message, in JSON.

    SenML knows rounds by their times alone: rounds of one time become one, and a round that holds
    nothing is not in the pack. ValueError when nothing is left to say, a value is not finite, a
    time is before 1978-07-04 (SenML takes it as relative) or a limit is passed.
    """
    return _bounded(msgspec.json.encode(_records(message, kind)))


def encode_senml_cbor(message: Message, kind: Kind) -> bytes:
    """The pack of a message, in CBOR; as encode_senml_json."""
    records = _records(message, kind)
    labelled = [{LABELS[key]: value for key, value in record.items()} for record in records]
    return _bounded(cbor2.dumps(labelled))


def _records(message: Message, kind: Kind) -> list[dict[str, Any]]:
    if len(message.rounds) > MAX_ROUNDS:
        raise ValueError(f"{len(message.rounds)} rounds; allowed {MAX_ROUNDS}")
    records: list[dict[str, Any]] = []
    for said in message.rounds:
        records += _round_records(said, kind)
    if not records:
        raise ValueError("the message holds nothing that a pack can say")
    if message.uptime_s is not None:
        records.append({"n": "up", "u": "s", "v": message.uptime_s})
    if message.boot is not None:
        records.append({"n": "boot", "vs": message.boot})
    return records


def _round_records(said: Round, kind: Kind) -> list[dict[str, Any]]:
    if said.at_ms < RELATIVE_S * 1000:
        raise ValueError(f"{said.at_ms} ms is before 1978-07-04: SenML takes it as relative")
    check_finite(said.values)
    records: list[dict[str, Any]] = []
    if said.seq is not None:
        records.append({"n": "seq", "v": said.seq})
    for name, value in said.values.items():
        records.append(_value_record(name, value, kind))
    for name, text in (said.attributes or {}).items():
        records.append({"n": name, "vs": text})
    if records:
        records[0] = {"bt": said.at_ms / 1000, **records[0]}
    return records


def _value_record(name: str, value: float, kind: Kind) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"n": name, "vb": value}
    metric = kind.metrics.get(name)
    if metric is None or metric.unit not in SENML_UNITS:
        return {"n": name, "v": value}
    return {"n": name, "u": metric.unit, "v": value}


def _bounded(payload: bytes) -> bytes:
    if len(payload) > MAX_BYTES:
        raise ValueError(f"{len(payload)} bytes; allowed {MAX_BYTES}")
    return payload
