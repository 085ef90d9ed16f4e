"""What an alert says to people, in English and Lao: seen, expected and why, what to do next."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib.resources import files
from typing import NamedTuple

from detection.findings import Finding
from devices.kinds import KINDS, TIERS, Metric

# What is printed for a unit where its symbol in the table of metrics is not what people write.
UNITS = {
    "Cel": ("°C", "°C"),
    "%RH": ("%", "%"),
    "d": ("days", "ມື້"),
    "m3/h": ("m³/h", "m³/h"),
    "ug/m3": ("µg/m³", "µg/m³"),
    "uS/cm": ("µS/cm", "µS/cm"),
    "count": ("", ""),
    "code": ("", ""),
    "pH": ("", ""),
}
DURATIONS = (("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1))

AS_THEY_ARE = (
    "nights",
    "readings",
    "times",
    "usual",
    "unit",
    "run",
    "longest",
    "place",
    "problem",
    "waiting",
    "setting",
    "command",
)


class Words(NamedTuple):
    """The same in both languages."""

    en: str
    lo: str


def explain(finding: Finding) -> Words:
    """The text of a finding in English and Lao.

    Uses of its facts: `kind` (of the device), and per rule `held_s`, `readings`, `run`, `longest`,
    `interval_s`, `side` (low, high: which end of `expected` matters) and `accepted`; `why` (names
    a sentence more), `unit`, `base` (the value before), `other` (a metric), `ambient_c`, `left_s`,
    `lag_s`, `said_s`, `nights`, `times`, `usual`; of rules on the platform `place`, `problem`,
    `waiting` (lines), `setting` and `command`.
    """
    phase = "clear" if finding.phase == "clear" else "firing"
    if finding.facts.get("accepted"):
        phase = "accepted"
    template = TEXTS.get(f"{finding.rule}.{phase}") or TEXTS[f"any.{phase}"]
    parts = [_fill(template, finding)]
    if phase == "firing":
        if why := TEXTS.get(f"{finding.rule}.{finding.facts.get('why')}"):
            parts.append(_fill(why, finding))
        parts.append(_fill(_advice(finding), finding))
    return Words(" ".join(p.en for p in parts), " ".join(p.lo for p in parts))


def name_of(metric: str) -> Words:
    """The name of a metric in words; one that an upgrade took away is called by its id."""
    return NAMES.get(metric, Words(metric, metric))


def _advice(finding: Finding) -> Words:
    for name in (f"{finding.rule}.{finding.metric}", finding.rule):
        if by_rule := TEXTS.get(f"next.{name}"):
            return by_rule
    by_kind = TEXTS.get(f"next.{finding.facts['kind']}")
    return by_kind if by_kind and finding.nature == "condition" else TEXTS[f"next.{finding.nature}"]


def _fill(template: Words, finding: Finding) -> Words:
    en, lo = (
        text.format(**{name: words[n] for name, words in _fields(finding)})
        for n, text in enumerate(template)
    )
    return Words(en[0].upper() + en[1:], lo)


def _fields(finding: Finding) -> Iterator[tuple[str, Words]]:
    facts = finding.facts
    for name in AS_THEY_ARE:
        if name in facts:
            yield name, Words(str(facts[name]), str(facts[name]))
    for name in ("held", "interval", "left", "lag", "said"):
        if f"{name}_s" in facts:
            yield name, _duration(float(facts[f"{name}_s"]))
    if not finding.metric:
        return
    metric = KINDS[str(facts["kind"])].metrics[finding.metric]
    yield "name", name_of(finding.metric)
    if "other" in facts:
        yield "other", name_of(str(facts["other"]))
    for name, key in (("base", "base"), ("ambient", "ambient_c")):
        if key in facts:
            yield name, _quantity(float(facts[key]), metric)
    if finding.value is not None:
        yield "value", _quantity(finding.value, metric)
    if finding.expected is not None:
        expected = _apart(finding.expected, finding.value, metric)
        yield "expected", _range(expected, str(facts.get("side", "")), metric)


def _apart(
    expected: tuple[float, float], value: float | None, metric: Metric
) -> tuple[float, float]:
    """The range with its ends so far inside that a value beyond one is not printed as that end."""
    low, high = expected
    if value is None or metric.is_bool or low <= value <= high:
        return expected
    decimals = _decimals(metric.resolution)
    shown, unit = round(value, decimals), 10.0**-decimals
    if value > high:
        high = shown - unit if shown <= round(high, decimals) else high
        return min(low, high), high
    low = shown + unit if shown >= round(low, decimals) else low
    return low, max(low, high)


def _range(expected: tuple[float, float], side: str, metric: Metric) -> Words:
    low, high = (_quantity(end, metric) for end in expected)
    if low == high:
        return low
    template = TEXTS[{"low": "at_least", "high": "at_most"}.get(side, "between")]
    return Words(*(t.format(low=low[n], high=high[n]) for n, t in enumerate(template)))


def _quantity(value: float, metric: Metric) -> Words:
    if metric.is_bool:
        return TEXTS["yes" if value else "no"]
    number = _number(value, metric.resolution)
    en, lo = UNITS.get(metric.unit, (metric.unit, metric.unit))
    return Words(f"{number} {en}".rstrip(), f"{number} {lo}".rstrip())


def _number(value: float, resolution: float) -> str:
    """With as many decimals as the metric's resolution has, without trailing zeros."""
    text = f"{value:.{_decimals(resolution)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _decimals(resolution: float) -> int:
    return len(f"{resolution:.6f}".rstrip("0").split(".")[1])


def _duration(seconds: float) -> Words:
    """In the largest unit of which there are at least two, else in seconds."""
    unit, size = next((d for d in DURATIONS if seconds >= 2 * d[1]), DURATIONS[-1])
    number = f"{seconds / size:.1f}".removesuffix(".0")
    return Words(*(text.format(n=number) for text in TEXTS[unit]))


def _read(name: str) -> dict[str, Words]:
    text = (files("detection") / "data" / name).read_text("utf-8")
    return {row[0]: Words(row[1], row[2]) for row in list(csv.reader(text.splitlines()))[1:]}


def _by_tier(names: dict[str, Words]) -> Iterator[tuple[str, Words]]:
    for pattern, words in names.items():
        for tier in TIERS if "{tier}" in pattern else ("",):
            said = TEXTS.get(f"tier.{tier}", Words("", ""))
            yield (
                pattern.replace("{tier}", tier),
                Words(words.en.replace("{tier}", said.en), words.lo.replace("{tier}", said.lo)),
            )


TEXTS: dict[str, Words] = _read("texts.csv")
NAMES: dict[str, Words] = dict(_by_tier(_read("metric_names.csv")))
RULES = frozenset(name.split(".")[0] for name in TEXTS if name.endswith(".firing")) - {"any"}
