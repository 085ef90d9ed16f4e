"""The rules' tables: complete, sound, and as the document prints them."""

from __future__ import annotations

import csv
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from detection.rules import HIGH, LOW, read_limits, read_silence, read_stuck
from detection.rules_probe import COLUMNS
from detection.rules_shift import NOISE, read_shift
from detection.rules_tables import read_conditions
from devices.kinds import KINDS, METRICS, TIERS
from tests.project.documents import rows_of, section, text_of

PROBE_ROWS = [KINDS["connectivity-probe"].metrics[name].row for name in COLUMNS]
SENSOR_TABLES = ("rate", "zero", "dropout", "pairs")
RULE_TABLES = ("conditions", *SENSOR_TABLES, "periods", "metric_causes", "rule_causes")
TABLES = (
    "limits",
    "shift",
    "slow_trips",
    "loss",
    "slow",
    "chatter",
    "gap",
    "stuck",
    "silence",
    "platform",
)


def cells(name: str) -> list[list[str]]:
    """The rows of a table, the header first."""
    text = (files("detection") / "data" / f"{name}.csv").read_text("utf-8")
    return list(csv.reader(text.splitlines()))


@pytest.mark.parametrize("name", TABLES)
def test_the_document_prints_the_table(name: str) -> None:
    """docs/detection.md shows each table as it ships."""
    text = section(text_of(Path("docs/detection.md")), f"### {name}.csv")
    printed = [[cell.strip("`") for cell in row] for row in rows_of(text)]
    assert printed == cells(name)


@pytest.mark.parametrize("name", RULE_TABLES)
def test_the_page_of_rules_prints_the_table(name: str) -> None:
    """docs/rules.md shows each of its tables as it ships."""
    text = section(text_of(Path("docs/rules.md")), f"### {name}.csv")
    printed = [[cell.strip("`") for cell in row] for row in rows_of(text)]
    assert printed == cells(name)


@pytest.mark.parametrize(
    "name", ["limits", "shift", "slow_trips", "stuck", "chatter", *SENSOR_TABLES]
)
def test_each_row_is_of_a_known_metric_once(name: str) -> None:
    """No row names a metric that its kind lacks, and none stands twice."""
    header, *rows = cells(name)
    keys = [tuple(row[: 3 if header[2] == "side" else 2]) for row in rows]
    assert len(keys) == len(set(keys))
    for kind, metric, *_ in rows:
        assert metric.replace("{tier}", TIERS[0]) in KINDS[kind].metrics


def test_every_kind_can_be_silent() -> None:
    """Each kind has a rule on silence."""
    assert set(read_silence()) == set(KINDS)


def test_every_plausible_range_has_a_limit() -> None:
    """A metric with a plausible range is judged by it, or by a rule of its own."""
    judged = {rule.row for rule in read_conditions()} | set(PROBE_ROWS)
    rules = read_limits()
    for metric in METRICS:
        limited = bool(np.isfinite(rules.limit[metric.row]).any())
        assert metric.plausible_max is None or limited or metric.row in judged


def test_a_limit_leaves_room_to_come_back() -> None:
    """The clear level lies inside the limit, and between the two of both sides there is room."""
    rules = read_limits()
    assert np.all(rules.clear[:, LOW] >= rules.limit[:, LOW])
    assert np.all(rules.clear[:, HIGH] <= rules.limit[:, HIGH])
    assert np.all(rules.clear[:, LOW] <= rules.clear[:, HIGH])


def test_a_limit_lies_inside_the_hard_range() -> None:
    """A limit beyond what is refused anyway would never fire."""
    rules = read_limits()
    for metric in METRICS:
        low, high = rules.limit[metric.row].tolist()
        assert low == -np.inf or low > metric.hard_min, metric
        assert high == np.inf or high < metric.hard_max, metric


def test_shift_and_stuck_leave_counters_and_switches_alone() -> None:
    """What counts up, is yes or no, or is normally constant has no past to break with."""
    for applies in (read_shift().applies, read_stuck().applies):
        for row in np.flatnonzero(applies):
            metric = METRICS[row]
            assert not metric.is_bool
            assert metric.unit not in ("count", "code", "s", "B", "d", "kWh")
            assert not metric.name.endswith("loss_pct")


def test_every_shift_row_judges_something() -> None:
    """A row without any channel would do nothing; a tau without a least would fire on noise."""
    rules = read_shift()
    on = np.isfinite(rules.least)
    assert np.all(on.any(axis=1) == rules.applies)
    assert np.all(rules.tau[on] > 0)
    on[:, NOISE] = False  # is in usual sizes and has no unit: its range is never narrower than 2
    assert np.all(rules.least[on] > 0)
