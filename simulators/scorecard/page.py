"""The scorecard as Markdown: every table of a score, and the gates with what was measured."""

from __future__ import annotations

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
from simulators.scorecard.verdict import gates, targets

CAUSE_PARTS = ("right", "wrong", "unknown", "final")


def page(score: Score) -> str:
    """Every table of a score, from the gates to the cause table. No heading above level 2."""
    parts = [
        gates(score),
        targets(score),
        _levels(score),
        _by_fault(score),
        _by("kind", "kind of device", score),
        _by("metric", "metric", score),
        _by_rule(score),
        _decoys(score),
        _outages(score),
        _groups(score),
        _causes(score),
        _bins(score),
        _lifecycle(score),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _levels(score: Score) -> str:
    head = (
        "severity",
        "alarms",
        "episodes true",
        "false",
        "on decoys",
        "precision",
        "false per device-day",
    )
    rows = []
    for name, tally in score.rows("level"):
        rows.append((name, *_alarm_cells(tally, score.device_days)))
    for key, reference in REFERENCES.items():
        if f"level@{key}" in score.tables:
            tally = score.of(f"level@{key}", "everything")
            rows.append((f"*{reference}*", *_alarm_cells(tally, score.device_days)))
    return table("Alarms by severity", "", head, rows)


def _alarm_cells(tally: Tally, device_days: float) -> Cells:
    return (
        str(tally["alarms"]),
        str(tally["true"]),
        str(tally["false"]),
        str(tally["on_decoy"]),
        percent(precision(tally)),
        rate(tally["false"], device_days),
    )


FAULT_HEAD = (
    *("faults", "recall", "any alarm near", "late only", "delay, median", "p95"),
    *("in intervals", "p95", "repeats"),
)


def _fault_cells(tally: Tally) -> Cells:
    return (
        str(tally["faults"]),
        percent(tally.share("found", "faults")),
        percent(tally.share("any", "faults")),
        str(tally["late"]),
        seconds(tally.quantile("delay_s", 0.5)),
        seconds(tally.quantile("delay_s", 0.95)),
        number(tally.quantile("delay_intervals", 0.5)),
        number(tally.quantile("delay_intervals", 0.95)),
        str(tally["duplicates"]),
    )


def _recalls(score: Score, what: str, row: str) -> Cells:
    """The recall of each reference detector in a row."""
    return [percent(score.of(f"{what}@{key}", row).share("found", "faults")) for key in REFERENCES]


def _by_fault(score: Score) -> str:
    head = ("fault", *FAULT_HEAD, *(f"recall, {name}" for name in REFERENCES.values()))
    rows = [
        (name, *_fault_cells(tally), *_recalls(score, what, name))
        for what in ("type", "total")
        for name, tally in score.rows(what)
    ]
    return table("By fault", "", head, rows)


def _by(what: str, title: str, score: Score) -> str:
    head = (
        title, *FAULT_HEAD[:5], "repeats", "episodes true", "false", "precision",
        "false per device-day", *(f"recall, {name}" for name in REFERENCES.values()),
        *(f"precision, {name}" for name in REFERENCES.values()),
    )  # fmt: skip
    rows = []
    for name, tally in score.rows(what):
        cells = _fault_cells(tally)
        rows.append(
            (
                name,
                *cells[:5],
                cells[-1],
                *(str(tally[part]) for part in ("true", "false")),
                percent(precision(tally)),
                rate(tally["false"], score.device_days),
                *_recalls(score, what, name),
                *(percent(precision(score.of(f"{what}@{key}", name))) for key in REFERENCES),
            )
        )
    return table(f"By {title}", "", head, rows)


def _by_rule(score: Score) -> str:
    head = (
        "rule",
        "alarms",
        "episodes true",
        "false",
        "on decoys",
        "precision",
        "false per device-day",
    )
    rows = [(name, *_alarm_cells(tally, score.device_days)) for name, tally in score.rows("rule")]
    return table("By rule", "", head, sorted(rows, key=lambda row: -int(row[3])))


def _decoys(score: Score) -> str:
    head = ("decoy", "played", "fired", *(f"fired, {name}" for name in REFERENCES.values()))
    rows = [
        (
            name,
            str(tally["decoys"]),
            percent(tally.share("fired", "decoys")),
            *(
                percent(score.of(f"decoy@{key}", name).share("fired", "decoys"))
                for key in REFERENCES
            ),
        )
        for name, tally in score.rows("decoy")
    ]
    return table("Decoys, which must stay silent", "", head, rows)


def _outages(score: Score) -> str:
    head = ("outage of a site", "outages", "recall", "delay, median", "p95", "in intervals", "p95")
    rows = [
        (
            name,
            str(tally["outages"]),
            percent(tally.share("found", "outages")),
            *(seconds(tally.quantile("delay_s", q)) for q in (0.5, 0.95)),
            *(number(tally.quantile("delay_intervals", q)) for q in (0.5, 0.95)),
        )
        for name, tally in score.rows("outage")
    ]
    return table("Hard outages", "", head, rows)


def _groups(score: Score) -> str:
    head = ("scope", "faults", "recall", "right scope", "one incident", "incidents per fault",
            "delay, median", "false groups a month")  # fmt: skip
    names = sorted({*score.tables.get("group", {}), *score.tables.get("false_group", {})})
    rows = []
    for name in names:
        tally, false = score.of("group", name), score.of("false_group", name)
        rows.append(
            (
                name,
                str(tally["faults"]),
                percent(tally.share("found", "faults")),
                percent(tally.share("right", "found")),
                percent(tally.share("one", "found")),
                number(tally["incidents"] / tally["faults"] if tally["faults"] else None),
                seconds(tally.quantile("delay_s", 0.5)),
                rate(false["false"] * MONTH_DAYS, score.days),
            )
        )
    return table("Groups", "", head, rows)


def _causes(score: Score) -> str:
    every = score.of("incident", "all")
    totals = table(
        "Causes",
        "What incidents said last, of those about a fault: it hits devices that they name while "
        f"they last. {every['unmatched']} of {every['incidents']} are about none and count as "
        f"false alarms; {every['merged']} were merged and count with the one that took them in.",
        ("incidents", "number", *CAUSE_PARTS),
        [
            (
                name,
                str(tally["incidents"]),
                *(percent(tally.share(part, "incidents")) for part in CAUSE_PARTS),
            )
            for name, tally in score.rows("cause_total")
        ],
    )
    rows = dict(score.rows("cause"))
    said = sorted({name for tally in rows.values() for name in tally.counts})
    told = table(
        "What was said for each cause",
        "Rows are the truth, columns what was said.",
        ("cause", *said),
        [(true, *(str(tally[name] or "") for name in said)) for true, tally in rows.items()],
    )
    return "\n\n".join(part for part in (totals, told) if part)


def _bins(score: Score) -> str:
    head = ("bins", "outages", "judged", "wrong", "missed", "invented", "wrong per outage",
            "minutes wrong per site and month")  # fmt: skip
    rows = [
        (
            name,
            str(tally["outages"]),
            str(tally["judged"]),
            *(str(tally[part]) for part in ("wrong", "missed", "invented")),
            number(tally.share("near", "outages")),
            rate(tally["wrong"] * 5 * MONTH_DAYS, score.site_days),
        )
        for name, tally in score.rows("bins")
    ]
    return table("Availability bins", "", head, rows)


def _lifecycle(score: Score) -> str:
    tally = score.of("lifecycle", "alerts")
    rows = [(name.replace("_", " "), str(tally[name])) for name in sorted(tally.counts)]
    return table("Alerts opened and closed", "", ("count", "alerts"), rows)
