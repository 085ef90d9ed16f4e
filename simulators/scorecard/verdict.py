"""The gates and targets: what detection has to reach, what was measured, and whether it is met."""

from __future__ import annotations

import csv
from importlib.resources import files

from simulators.scorecard.gates import Gate, read_gates
from simulators.scorecard.markdown import (
    MONTH_DAYS,
    Cells,
    number,
    percent,
    precision,
    rate,
    seconds,
    table,
)
from simulators.scorecard.references import REFERENCES
from simulators.scorecard.tallies import Score, Tally

NO = "**no**"


def gates(score: Score) -> str:
    """The table of gates for which there were faults, with both reference detectors below each."""
    head = ("gate", "faults", "recall", "delay, median", "precision", "false per device-day", "met")
    rows = []
    for gate in read_gates():
        tally = score.of("gate", gate.name)
        if tally["faults"]:
            rows.append(_gate_row(gate, tally, score.device_days))
            rows += [
                _reference_row(name, score.of(f"gate@{key}", gate.name), gate, score.device_days)
                for key, name in REFERENCES.items()
                if f"gate@{key}" in score.tables
            ]
    note = "Measured (target). Precision and false alarms of the rules that belong to the gate."
    return table("Gates", note, head, rows)


def _gate_row(gate: Gate, tally: Tally, device_days: float) -> Cells:
    recall, right = tally.share("found", "faults"), precision(tally)
    delay = tally.quantile(f"delay_{gate.delay_unit}", 0.5)
    false = tally["false"] / device_days if device_days else 0.0
    met = (
        (recall or 0) >= gate.recall
        and delay is not None
        and delay <= gate.delay
        and (right is None or right >= gate.precision)
        and false <= gate.false_per_device_day
    )
    return (
        gate.name,
        str(tally["faults"]),
        f"{percent(recall)} ({percent(gate.recall)})",
        f"{_delay(gate, delay)} ({_delay(gate, gate.delay)})",
        f"{percent(right)} ({percent(gate.precision)})",
        f"{rate(tally['false'], device_days)} ({gate.false_per_device_day:g})",
        "yes" if met else NO,
    )


def _reference_row(name: str, tally: Tally, gate: Gate, device_days: float) -> Cells:
    delay = tally.quantile(f"delay_{gate.delay_unit}", 0.5)
    return (
        f"*{name}*",
        "",
        percent(tally.share("found", "faults")),
        _delay(gate, delay),
        percent(precision(tally)),
        rate(tally["false"], device_days),
        "",
    )


def _delay(gate: Gate, value: float | None) -> str:
    if gate.delay_unit == "s" or value is None:
        return seconds(value)
    return f"{number(value)} interval{'s' if value != 1 else ''}"


def targets(score: Score) -> str:
    """The table of figures that have a target in data/targets.csv."""
    measured = figures(score)
    text = (files("simulators.scorecard") / "data" / "targets.csv").read_text("utf-8")
    rows = [_target_row(row, measured[row["figure"]]) for row in csv.DictReader(text.splitlines())]
    return table("Targets", "", ("figure", "target", "measured", "met"), rows)


def _target_row(row: dict[str, str], value: float | None) -> Cells:
    show = percent if row["shown_as"] == "share" else number
    target = float(row["target"])
    met = "not measured"
    if value is not None:
        met = "yes" if (value >= target if row["bound"] == "at least" else value <= target) else NO
    return row["figure"], f"{row['bound']} {show(target)}", show(value), met


def figures(score: Score) -> dict[str, float | None]:
    """What was measured of every figure that has a target; None where there was nothing to see."""
    hard = score.of("outage", "three intervals or longer")
    group = score.of("group", "all groups")
    cause = score.of("cause_total", "all incidents")
    life = score.of("lifecycle", "alerts")
    page = score.of("page", "critical")
    false_groups = sum(tally["false"] for _, tally in score.rows("false_group"))
    out_of_turn = ("resolved_twice", "fired_twice", "resolved_without_firing")
    bins = {name: score.of("bins", f"{name} backfill") for name in ("before", "after")}
    return {
        "false episodes per device-day, everything": _per(
            score.of("level", "everything")["false"], score.device_days
        ),
        "false critical pages per device-day, after correlation": _per(
            page["false"], score.device_days
        ),
        "precision of critical pages, after correlation": precision(page),
        "hard outage of a site: recall": hard.share("found", "outages"),
        "hard outage of a site: delay in intervals, median": hard.quantile("delay_intervals", 0.5),
        "group faults: recall": group.share("found", "faults"),
        "group faults: right scope, of those found": group.share("right", "found"),
        "group faults: one incident each, of those found": group.share("one", "found"),
        "false groups a month": _per(false_groups * MONTH_DAYS, score.days),
        "cause right": cause.share("right", "incidents"),
        "cause wrong": cause.share("wrong", "incidents"),
        "pages caused by backfill": life["pages_by_backfill"] if life["backfill_judged"] else None,
        "alerts never resolved": life["never_resolved"],
        "alerts fired or resolved other than once": sum(life[name] for name in out_of_turn),
        "two open for one key": life["two_open"],
        "bins wrong per outage, before backfill": bins["before"].share("near", "outages"),
        "bins wrong per outage, after backfill": bins["after"].share("near", "outages"),
    }


def _per(count: float, whole: float) -> float | None:
    return count / whole if whole else None
