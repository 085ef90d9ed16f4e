"""From the records of a SenML pack to rounds: base fields, names, times, units (RFC 8428)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from devices.kinds import Kind
from devices.wire import reasons
from devices.wire.message import (
    MAX_AT_MS,
    MAX_FIELDS,
    MAX_RECORDS,
    MAX_ROUNDS,
    MAX_SEQ,
    Message,
    PayloadError,
    Refusal,
    Round,
    is_boot,
    shown,
    to_double,
)
from devices.wire.units import UnitError, to_metric_unit

VERSIONS = (10, 26)  # 26: version 10 with the secondary units of RFC 8798 (RFC 9100 section 6)
RELATIVE_S = 2**28  # a time below this is relative to now (RFC 8428 section 4.5.3)
_TEXT_BASES = ("bn", "bu")
_NUMBER_BASES = ("bt", "bv", "bs")
_VALUES = ("v", "vs", "vb", "vd")
_KNOWN = frozenset((*_TEXT_BASES, *_NUMBER_BASES, "bver", "n", "u", *_VALUES, "s", "t", "ut"))
_ENVELOPE = ("seq", "boot", "up")


class _Entry(NamedTuple):
    """One record after its base fields are resolved. where: its path in the pack."""

    where: str
    name: str
    at_ms: int
    unit: str | None
    field: str  # which of _VALUES
    value: Any


class Pack:
    """Reads the records of one pack in order, as base fields apply from their record on."""

    def __init__(self, kind: Kind, received_ms: int) -> None:
        self._kind = kind
        self._received_ms = received_ms
        self._bases: dict[str, Any] = {}
        self._values: dict[int, dict[str, float]] = {}  # by event time, as all of a round
        self._attributes: dict[int, dict[str, str]] = {}
        self._seqs: dict[int, int] = {}
        self._boot: str | None = None
        self._uptime_s: float | None = None
        self._refusals: list[Refusal] = []

    def read(self, tree: Any) -> Message:
        """The message of a pack given as parsed JSON. Raises PayloadError."""
        if not isinstance(tree, list):
            raise PayloadError(reasons.BAD_SENML, "", "not an array of records")
        if len(tree) > MAX_RECORDS:
            detail = f"{len(tree)} records; allowed {MAX_RECORDS}"
            raise PayloadError(reasons.OVERSIZE, "", detail)
        for index, record in enumerate(tree):
            self._read_record(record, f"[{index}]")
        if not self._values and not self._refusals:
            raise PayloadError(reasons.EMPTY, "", "no record holds a value")
        rounds = [
            Round(self._seqs.get(at_ms), at_ms, values, self._attributes.get(at_ms))
            for at_ms, values in self._values.items()
        ]
        return Message(self._boot, rounds, self._refusals, self._uptime_s)

    def _refuse(self, reason: str, where: str, detail: str) -> None:
        self._refusals.append(Refusal(reason, where, detail))

    def _read_record(self, record: Any, where: str) -> None:
        if not isinstance(record, dict):
            self._refuse(reasons.BAD_SENML, where, f"{shown(record)}; allowed: an object")
            return
        self._set_bases(record, where)
        self._refuse_unknown(record, where)
        entry = self._entry(record, where)
        if entry is None:
            return
        if entry.name in _ENVELOPE:
            self._set_envelope(entry)
        elif self._is_attribute(entry):
            self._round_of(entry)
            self._attributes.setdefault(entry.at_ms, {})[entry.name] = entry.value
        elif (value := self._measured(entry)) is not None:
            self._round_of(entry)[entry.name] = value

    def _set_bases(self, record: dict[str, Any], where: str) -> None:
        for field in _TEXT_BASES:
            if field in record and not isinstance(record[field], str):
                raise _bad_base(f"{where}.{field}", record[field], "a text")
        for field in _NUMBER_BASES:
            if field in record and not _is_number(record[field]):
                raise _bad_base(f"{where}.{field}", record[field], "a number")
        version = record.get("bver", VERSIONS[0])
        if not _is_number(version):
            raise _bad_base(f"{where}.bver", version, "an integer")
        if version not in VERSIONS:
            detail = f"SenML version {shown(version)}; allowed: {VERSIONS}"
            raise PayloadError(reasons.BAD_VERSION, f"{where}.bver", detail)
        for field in (*_TEXT_BASES, "bt", "bv"):
            if field in record:
                self._bases[field] = record[field]

    def _refuse_unknown(self, record: dict[str, Any], where: str) -> None:
        for key in record:
            at = f"{where}.{shown(key)}"
            if key in ("s", "bs"):
                self._refuse(reasons.BAD_VALUE, at, "sums are not stored; allowed: values")
            elif key not in _KNOWN and key.endswith("_"):
                detail = "a mandatory field (RFC 8428 section 4.4) that is not known"
                raise PayloadError(reasons.BAD_SENML, at, detail)
            elif key not in _KNOWN:
                self._refuse(reasons.UNKNOWN_KEY, at, f"allowed: {', '.join(sorted(_KNOWN))}")

    def _entry(self, record: dict[str, Any], where: str) -> _Entry | None:
        """The resolved record; None when it has base fields only, or was refused."""
        fields = [field for field in _VALUES if field in record]
        if not fields and ("n" not in record or "s" in record):
            return None
        if not fields and "bv" in self._bases:
            fields, record = ["v"], {**record, "v": 0}
        if len(fields) != 1:
            got = " and ".join(fields) or "no value"
            self._refuse(reasons.BAD_SENML, where, f"{got}; allowed: one of {', '.join(_VALUES)}")
            return None
        name = self._name(record, where)
        at_ms = self._at_ms(record, where)
        unit = record.get("u", self._bases.get("bu"))
        if unit is not None and not isinstance(unit, str):
            self._refuse(reasons.BAD_SENML, f"{where}.u", f"{shown(unit)}; allowed: a text")
            return None
        if name is None or at_ms is None:
            return None
        return _Entry(where, name, at_ms, unit, fields[0], record[fields[0]])

    def _name(self, record: dict[str, Any], where: str) -> str | None:
        name = record.get("n", "")
        if isinstance(name, str):
            full: str = self._bases.get("bn", "") + name
            last = full[max(full.rfind(":"), full.rfind("/")) + 1 :]
            if last:
                return last
        self._refuse(reasons.BAD_SENML, f"{where}.n", f"{shown(name)}; allowed: a name")
        return None

    def _at_ms(self, record: dict[str, Any], where: str) -> int | None:
        time_s = record.get("t", 0)
        if _is_number(time_s):
            total_s: float = self._bases.get("bt", 0) + time_s
            if abs(total_s) <= MAX_AT_MS / 1000:
                since_ms = 0 if total_s >= RELATIVE_S else self._received_ms
                return since_ms + round(total_s * 1000)
        detail = f"{shown(time_s)}; allowed: seconds since 1970 UTC, or from now below 2**28"
        self._refuse(reasons.BAD_SENML, f"{where}.t", detail)
        return None

    def _round_of(self, entry: _Entry) -> dict[str, float]:
        values = self._values.setdefault(entry.at_ms, {})
        if len(self._values) > MAX_ROUNDS:
            detail = f"more than {MAX_ROUNDS} times"
            raise PayloadError(reasons.OVERSIZE, entry.where, detail)
        if len(values) + len(self._attributes.get(entry.at_ms, ())) >= MAX_FIELDS:
            detail = f"more than {MAX_FIELDS} records of one time"
            raise PayloadError(reasons.TOO_MANY_FIELDS, entry.where, detail)
        return values

    def _is_attribute(self, entry: _Entry) -> bool:
        is_text = entry.field == "vs" and isinstance(entry.value, str)
        return is_text and entry.name not in self._kind.metrics

    def _measured(self, entry: _Entry) -> float | None:
        """The value in the metric's unit; None when it was refused."""
        metric = self._kind.metrics.get(entry.name)
        at = f"{entry.where}.{entry.field}"
        if entry.field == "vb" and isinstance(entry.value, bool):
            if metric is None or metric.is_bool:
                return entry.value
        elif entry.field == "v" and _is_number(entry.value):
            value = to_double(entry.value, at) + to_double(self._bases.get("bv", 0), at)
            if metric is not None and entry.unit is not None:
                try:
                    value = to_metric_unit(value, entry.unit, metric)
                except UnitError as exc:
                    self._refuse(exc.reason, f"{entry.where}.u", exc.detail)
                    return None
            if math.isfinite(value):
                return value
            raise PayloadError(reasons.NUMBER_TOO_LARGE, at, "a sum or product beyond a double")
        allowed = "true or false" if metric is not None and metric.is_bool else "a number in v"
        self._refuse(reasons.BAD_VALUE, at, f"{shown(entry.value)}; allowed: {allowed}")
        return None

    def _set_envelope(self, entry: _Entry) -> None:
        value, number = entry.value, entry.field == "v" and _is_number(entry.value)
        if entry.name == "boot" and entry.field == "vs":
            if is_boot(value):
                self._boot = value
                return
        elif entry.name == "seq" and number and value == int(value) and 0 <= value <= MAX_SEQ:
            self._round_of(entry)
            self._seqs[entry.at_ms] = int(value)
            return
        elif entry.name == "up" and number and value >= 0 and entry.unit in (None, "s"):
            self._uptime_s = float(value)
            return
        detail = f"{entry.name} {shown(value)}; allowed: as in the native envelope"
        self._refuse(reasons.BAD_ENVELOPE, f"{entry.where}.{entry.field}", detail)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _bad_base(where: str, got: Any, allowed: str) -> PayloadError:
    return PayloadError(reasons.BAD_SENML, where, f"{shown(got)}; allowed: {allowed}")
