"""How well alarms find faults: recall and delay by fault, precision and false alarms by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from simulators.scorecard.alarms import Alarm, episodes
from simulators.scorecard.files import Fault, World
from simulators.scorecard.gates import Gate
from simulators.scorecard.matching import Faults, speaks_of
from simulators.scorecard.tallies import Score, Tally

NameOf = Callable[[Alarm], str]
Wanted = Callable[[Alarm], bool]

LEVELS = {
    "everything": ("info", "warning", "critical"),
    "warning and critical": ("warning", "critical"),
    "critical": ("critical",),
}


class Judged:
    """A world's alarms, told apart: `hits` of each fault, `true`, `false`, and those on decoys.

    What was opened and closed in the past told nobody: it counts as a late hit, never as an alarm.
    """

    def __init__(self, world: World, alarms: Sequence[Alarm]) -> None:
        self.world = world
        self.faults = Faults(world.faults, world.devices)
        decoys = Faults(world.decoys, world.devices)
        self.hits: dict[str, list[Alarm]] = {fault.fault: [] for fault in world.faults}
        self.true: list[Alarm] = []
        self.false: list[Alarm] = []
        self.on_decoy: dict[str, list[Alarm]] = {}
        for alarm in alarms:
            behind = self.faults.behind(alarm)
            for fault in behind:
                self.hits[fault.fault].append(alarm)
            if alarm.backfilled:
                continue
            is_true = any(speaks_of(alarm, fault) for fault in behind)
            (self.true if is_true else self.false).append(alarm)
            if not is_true:
                for decoy in decoys.behind(alarm):
                    self.on_decoy.setdefault(decoy.fault, []).append(alarm)

    def kind_of(self, alarm: Alarm) -> str:
        """The kind of the device that an alarm is about; "site" for a site or a group."""
        place = self.world.devices.get(alarm.devices[0]) if len(alarm.devices) == 1 else None
        return place.kind if place else "site"

    def kind_of_fault(self, fault: Fault) -> str:
        """The kind of a fault's one device; "site" where it has several."""
        place = self.world.devices.get(fault.devices[0]) if len(fault.devices) == 1 else None
        return place.kind if place else "site"


def score_detection(
    score: Score, judged: Judged, gates: Sequence[Gate], *, detector: str = ""
) -> None:
    """Add the figures of one world's alarms; `detector` names a reference one ("" is govsense)."""
    suffix = f"@{detector}" if detector else ""
    for fault in judged.world.faults:
        hits = judged.hits[fault.fault]
        for tally in _rows_of(score, judged, fault, suffix):
            _count_fault(tally, fault, hits, judged.faults.interval_ms(fault))
        for gate in gates:
            if gate.wants(fault):
                row = score.row("gate" + suffix, gate.name)
                _count_fault(row, fault, hits, judged.faults.interval_ms(fault))
    for name, severities in LEVELS.items():
        row = score.row("level" + suffix, name)
        _count_alarms(row, judged, lambda a, s=severities: a.severity in s)  # type: ignore[misc]
    for gate in gates:
        row = score.row("gate" + suffix, gate.name)
        _count_alarms(row, judged, lambda a, g=gate: bool(detector) or g.owns(a))  # type: ignore[misc]
    _count_each(score, "rule" + suffix, judged, lambda a: f"{a.rule} ({a.severity})")
    _count_each(score, "kind" + suffix, judged, judged.kind_of)
    _count_each(score, "metric" + suffix, judged, lambda a: f"{judged.kind_of(a)} {a.metric}")
    for decoy in judged.world.decoys:
        fired = judged.on_decoy.get(decoy.fault, [])
        row = score.row("decoy" + suffix, decoy.type)
        row.add(decoys=1, fired=bool(fired), alarms=len(fired))


def _rows_of(score: Score, judged: Judged, fault: Fault, suffix: str) -> Iterable[Tally]:
    kind = judged.kind_of_fault(fault)
    yield score.row("type" + suffix, fault.type)
    yield score.row("kind" + suffix, kind)
    yield score.row("metric" + suffix, f"{kind} {fault.metric or ''}")
    yield score.row("total" + suffix, "all faults")


def _count_fault(tally: Tally, fault: Fault, hits: Sequence[Alarm], interval_ms: int) -> None:
    live = [alarm for alarm in hits if not alarm.backfilled]
    about = [alarm for alarm in live if speaks_of(alarm, fault)]
    tally.add(
        faults=1,
        found=bool(about),
        any=bool(live),
        late=bool(hits) and not live,
        duplicates=_repeated(live),
    )
    if about:
        delay_ms = max(0, min(alarm.at_ms for alarm in about) - fault.start)
        tally.observe("delay_s", delay_ms / 1000)
        tally.observe("delay_intervals", delay_ms / interval_ms)


def _repeated(alarms: Sequence[Alarm]) -> int:
    """Alarms that say again what an earlier one has said: same source, metric and rule."""
    said = Counter((alarm.source, alarm.metric, alarm.rule) for alarm in alarms)
    return said.total() - len(said)


def _count_alarms(tally: Tally, judged: Judged, wanted: Wanted) -> None:
    true = [alarm for alarm in judged.true if wanted(alarm)]
    false = [alarm for alarm in judged.false if wanted(alarm)]
    on_decoy = {a.alarm for alarms in judged.on_decoy.values() for a in alarms if wanted(a)}
    tally.add(
        alarms=len(true) + len(false),
        true=episodes(true),
        false=episodes(false),
        on_decoy=len(on_decoy),
    )


def _count_each(score: Score, table: str, judged: Judged, name_of: NameOf) -> None:
    names = {name_of(alarm) for alarm in judged.true + judged.false}
    for name in names:
        _count_alarms(score.row(table, name), judged, lambda a, n=name: name_of(a) == n)  # type: ignore[misc]
