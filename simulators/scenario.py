"""Scenario files: which faults to play, on which devices, and when."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from devices.kinds import KINDS
from simulators.facility_decoys import DECOYS
from simulators.facility_faults import CONDITIONS, OWN
from simulators.failure_modes import MODES
from simulators.faults import Size
from simulators.group_modes import GROUP_MODES
from simulators.malformed import MALFORMED

UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|rounds?|r)")
FACTOR = re.compile(r"x\s*(\d+(?:\.\d+)?)")
NATURES = ("data_quality", "condition", "connectivity", "security")


class ScenarioError(Exception):
    """A scenario is wrong; the text names its file, the fault, the key, what it has, what may."""


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time, in milliseconds or in rounds of the device that it is used for."""

    count: float
    in_rounds: bool

    def ms(self, interval_ms: int) -> int:
        """Its length at a device that reports every interval_ms."""
        return round(self.count * (interval_ms if self.in_rounds else 1))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a type of fault needs: a metric, a size, a duration ("" where it must be given)."""

    metric: bool
    size: bool
    duration: str
    keys: tuple[str, ...] = ()


# Of sensors, with a metric; the size is drawn.
SENSOR_TYPES = ("noise", "offset", "gain", "clipping", "out-of-range", "sentinel", "gap",
                "unit-switch")  # fmt: skip
FACILITY_TYPES = (
    *dict.fromkeys(sort.type for sort in (*CONDITIONS, *OWN, *DECOYS)),
    *SENSOR_TYPES,
)

TYPES: dict[str, Shape] = {
    "spike": Shape(True, True, "1 round"),
    "stuck": Shape(True, False, "", ("value",)),
    "drift": Shape(True, True, ""),
    "level-shift": Shape(True, True, ""),
    "silence": Shape(False, False, "", ("how",)),
    "malformed": Shape(False, False, "1 round", ("payload",)),
    "duplicate": Shape(False, False, "1 round", ("copies",)),
    "late-batch": Shape(False, False, ""),
    **{name: Shape(False, False, "") for name in MODES},
    **{name: Shape(False, False, "", ("group",)) for name in GROUP_MODES},
    **{name: Shape(name in SENSOR_TYPES, False, "") for name in FACILITY_TYPES},
}
COMMON_KEYS = ("fault", "type", "device", "select", "start", "duration", "nature", "cause")
SELECT_KEYS = ("kind", "province", "site", "count")


@dataclass(frozen=True, slots=True)
class Entry:
    """One fault as a scenario describes it, before it is given devices and times.

    select: kind, province and site that a device must have; count of them are drawn. group: id
    of the province, district, provider or feeder that fails, or "platform".
    """

    fault: str
    type: str
    device: str
    select: dict[str, str]
    count: int
    metric: str | None
    start: Span
    duration: Span
    size: Size | None
    options: dict[str, Any]
    group: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named list of faults, in the order of the file `source`."""

    source: str
    entries: tuple[Entry, ...] = field(default=())


def built_in() -> list[str]:
    """Names of the scenarios that come with govsense."""
    folder = files("simulators") / "scenarios"
    return sorted(
        f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")
    )


def read_scenario(name: str) -> Scenario:
    """A scenario from a file, or one that comes with govsense by its name. ScenarioError."""
    if name in built_in():
        source = f"{name}.yaml"
        text = (files("simulators") / "scenarios" / source).read_text("utf-8")
    else:
        source = name
        try:
            text = Path(name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            known = ", ".join(built_in())
            raise ScenarioError(f"{name}: cannot be read ({exc}); built in: {known}") from exc
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ScenarioError(f"{source}: not valid YAML: {exc}") from exc
    return parse_scenario(tree, source)


def parse_scenario(tree: Any, source: str) -> Scenario:
    """A scenario from what YAML holds. Raises ScenarioError."""
    if not isinstance(tree, dict) or not isinstance(tree.get("faults"), list):
        raise ScenarioError(f"{source}: needs a list under the key faults")
    _refuse_unknown(tree, ("about", "faults"), source)
    entries = tuple(
        _Reader(f"{source}: fault {number}", raw).entry()
        for number, raw in enumerate(tree["faults"], 1)
    )
    names = [entry.fault for entry in entries]
    for number, name in enumerate(names, 1):
        if name in names[: number - 1]:
            raise ScenarioError(f"{source}: fault {number}: fault is {name!r} a second time")
    return Scenario(source, entries)


def parse_duration_ms(text: str, where: str) -> int:
    """A length of time such as 90s, 10m, 24h or 7d, in milliseconds. Raises ScenarioError."""
    span = _parse_span(text)
    if span is None or span.in_rounds:
        raise ScenarioError(f'{where} is {text!r}; it must be like "90s", "10m", "24h" or "7d"')
    return span.ms(0)


def _parse_span(text: Any) -> Span | None:
    match = TIME.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        return None
    count, unit = float(match[1]), match[2]
    return Span(count, True) if unit[0] == "r" else Span(count * UNITS_MS[unit], False)


def _refuse_unknown(raw: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in raw:
        if key not in known:
            raise ScenarioError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")


class _Reader:
    """Reads one fault of a scenario file."""

    def __init__(self, where: str, raw: Any) -> None:
        if not isinstance(raw, dict):
            raise ScenarioError(f"{where}: is {raw!r}; it must be a mapping of keys")
        self._where = where
        self._raw = raw

    def entry(self) -> Entry:
        kind_of_fault = self._one_of("type", tuple(TYPES))
        shape = TYPES[kind_of_fault]
        known = (*COMMON_KEYS, *shape.keys)
        known += ("metric",) * shape.metric + ("size",) * shape.size
        _refuse_unknown(self._raw, known, self._where)
        is_group = kind_of_fault in GROUP_MODES
        if is_group:
            self._refuse_choice()
        elif ("device" in self._raw) == ("select" in self._raw):
            raise ScenarioError(f"{self._where}: needs either device or select")
        select, count = self._select()
        return Entry(
            fault=self._text("fault"),
            type=kind_of_fault,
            device=self._text("device") if "device" in self._raw else "",
            select=select,
            count=count,
            metric=self._text("metric") if shape.metric else None,
            start=self._span("start", "0s"),
            duration=self._span("duration", shape.duration),
            size=self._size() if shape.size else None,
            options=self._options(),
            group=self._text("group") if is_group else "",
        )

    def _refuse_choice(self) -> None:
        for key in ("device", "select"):
            if key in self._raw:
                raise ScenarioError(f"{self._where}: {key} does not go with a type that has group")

    def _wrong(self, key: str, allowed: str) -> ScenarioError:
        got = repr(self._raw[key]) if key in self._raw else "missing"
        return ScenarioError(f"{self._where}: {key} is {got}; it must be {allowed}")

    def _text(self, key: str) -> str:
        value = self._raw.get(key)
        if not isinstance(value, str) or not value:
            raise self._wrong(key, "a text")
        return value

    def _one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        if self._raw.get(key) not in allowed:
            raise self._wrong(key, f"one of {', '.join(allowed)}")
        return str(self._raw[key])

    def _span(self, key: str, default: str) -> Span:
        span = _parse_span(self._raw.get(key, default))
        if span is None:
            raise self._wrong(key, 'a time such as "20s", "10m", "2h", "1d" or "12 rounds"')
        return span

    def _size(self) -> Size:
        value = self._raw.get("size")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Size(float(value), False)
        match = FACTOR.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise self._wrong("size", 'an amount in the metric\'s unit, or a factor such as "x3"')
        return Size(float(match[1]), True)

    def _select(self) -> tuple[dict[str, str], int]:
        raw = self._raw.get("select", {})
        if not isinstance(raw, dict):
            raise self._wrong("select", f"a mapping of {', '.join(SELECT_KEYS)}")
        _refuse_unknown(raw, SELECT_KEYS, f"{self._where}: select")
        if "kind" in raw and raw["kind"] not in KINDS:
            raise self._wrong("select", f"of a kind among {', '.join(KINDS)}")
        count = raw.get("count", 1)
        if not isinstance(count, int) or count < 1:
            raise self._wrong("select", "with a count of at least 1")
        return {key: str(value) for key, value in raw.items() if key != "count"}, count

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if "how" in self._raw:
            options["how"] = self._one_of("how", ("disconnect", "mute"))
        if "payload" in self._raw:
            options["payload"] = self._one_of("payload", ("any", *MALFORMED))
        if "copies" in self._raw:
            options["copies"] = self._number("copies", least=1)
        if "value" in self._raw:
            options["value"] = self._number("value")
        if "nature" in self._raw:
            options["nature"] = self._one_of("nature", NATURES)
        if "cause" in self._raw:
            options["cause"] = self._text("cause")
        return options

    def _number(self, key: str, least: float | None = None) -> float:
        value = self._raw[key]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, "a number")
        if least is not None and value < least:
            raise self._wrong(key, f"a number of at least {least:g}")
        return float(value)
