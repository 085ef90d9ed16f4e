"""Gives sorts of events their devices, times and strengths in one run, by chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from devices.registry import Device, Registry
from simulators.facility import Event
from simulators.facility_sorts import Part, Sort
from simulators.world import rhythm
from simulators.world.chance import stream
from simulators.world.effects import Effect

HOUR_MS = 3_600_000
APART_MS = 8 * HOUR_MS  # of health between two events of one device
HEALTHY_MS = 24 * HOUR_MS  # at the start of a run, if it is much longer
TRIES = 12

Busy = Iterable[tuple[str, int, int]]


class _Diary:
    """When each device is taken."""

    def __init__(self, busy: Busy, apart_ms: int) -> None:
        self._apart_ms = apart_ms
        self._taken: dict[str, list[tuple[int, int]]] = {}
        for device, start_ms, end_ms in busy:
            self.take([device], start_ms, end_ms)

    def is_free(self, devices: Iterable[str], start_ms: int, end_ms: int) -> bool:
        first, last = start_ms - self._apart_ms, end_ms + self._apart_ms
        return not any(
            first < end and start < last
            for device in devices
            for start, end in self._taken.get(device, ())
        )

    def take(self, devices: Iterable[str], start_ms: int, end_ms: int) -> None:
        for device in devices:
            self._taken.setdefault(device, []).append((start_ms, end_ms))


def schedule(
    sorts: Sequence[Sort],
    registry: Registry,
    seed: int,
    span_ms: tuple[int, int],
    rates: float,
    busy: Busy,
    *,
    apart_ms: int = APART_MS,
) -> list[Event]:
    """Events of these sorts in a run from span_ms[0] to span_ms[1].

    Those of many devices are placed first. An event for which there is no room, or that would last
    beyond the end, is left out.
    """
    diary = _Diary(busy, apart_ms)
    alone: dict[bool, list[_Wanted]] = {False: [], True: []}
    for sort in sorts:
        for scope, devices in _groups(sort, registry):
            draw = stream(seed, "facility", sort.type, sort.metric or "", *scope)
            for nth in range(1, 1 + _count(draw, sort.per_day * rates, span_ms)):
                wanted = _Wanted(draw.random(), sort, scope, devices, draw, nth)
                alone[sort.together == "device"].append(wanted)
    # By chance, so that no sort comes before another where room is scarce.
    in_order = [one for found in alone.values() for one in sorted(found, key=lambda w: w.turn)]
    placed = (_place(wanted, span_ms, diary) for wanted in in_order)
    return [event for event in placed if event is not None]


class _Wanted(NamedTuple):
    """An event before it has a time. turn: when it is placed. nth: of its sort and scope."""

    turn: float
    sort: Sort
    scope: tuple[str, str]
    devices: list[Device]
    draw: Random
    nth: int


def _groups(sort: Sort, registry: Registry) -> Iterator[tuple[tuple[str, str], list[Device]]]:
    """What the sort happens to, as scope and devices."""
    groups: dict[tuple[str, str], list[Device]] = {}
    for _, device in sorted(registry.devices.items()):
        if device.kind in sort.kinds and sort.fits(device):
            groups.setdefault(_scope(sort, registry, device), []).append(device)
    yield from sorted(groups.items())


def _scope(sort: Sort, registry: Registry, device: Device) -> tuple[str, str]:
    site = registry.sites[device.site]
    if sort.together == "district":
        return "district", f"{site.province}/{site.district}"
    return "device", device.device


def _count(draw: Random, per_day: float, span_ms: tuple[int, int]) -> int:
    """A Poisson draw of how many happen."""
    expected = per_day * (span_ms[1] - span_ms[0]) / rhythm.DAY_MS
    count, total = 0, draw.expovariate(1.0)
    while total < expected:
        count += 1
        total += draw.expovariate(1.0)
    return count


def _place(wanted: _Wanted, span_ms: tuple[int, int], diary: _Diary) -> Event | None:
    sort, draw = wanted.sort, wanted.draw
    names = [device.device for device in wanted.devices]
    length_ms = sort.length_ms(wanted.devices[0], draw)
    parts = sort.parts(draw)
    first_ms = span_ms[0] + min(HEALTHY_MS, (span_ms[1] - span_ms[0]) // 10)
    last_ms = span_ms[1] - length_ms
    if last_ms <= first_ms:
        return None
    for _ in range(TRIES):
        start_ms = _beginning(sort, draw.randrange(first_ms, last_ms))
        end_ms = start_ms + length_ms
        if end_ms <= span_ms[1] and diary.is_free(names, start_ms, end_ms):
            diary.take(names, start_ms, end_ms)
            effects = _effects(parts, start_ms, end_ms)
            return _event(wanted, start_ms, end_ms, dict.fromkeys(names, effects))
    return None


def _event(
    wanted: _Wanted, start_ms: int, end_ms: int, effects: dict[str, tuple[Effect, ...]]
) -> Event:
    sort = wanted.sort
    label = [sort.type, sort.metric, wanted.scope[1].replace("/", "-"), str(wanted.nth)]
    return Event(
        fault="-".join(filter(None, label)),
        type=sort.type,
        truth=sort.truth,
        scope=wanted.scope,
        devices=tuple(effects),
        sites=tuple(sorted({device.site for device in wanted.devices})),
        metric=sort.metric,
        start_ms=start_ms,
        end_ms=end_ms,
        effects=effects,
    )


def _effects(parts: Sequence[Part], start_ms: int, end_ms: int) -> tuple[Effect, ...]:
    return tuple(
        Effect(part.what, start_ms, end_ms, part.size, part.shape, part.metric) for part in parts
    )


def _beginning(sort: Sort, at_ms: int) -> int:
    """The first time from at_ms at which the sort may begin."""
    if sort.when == "any":
        return at_ms
    hour = 8.5 + at_ms % 4_000_000 / 2_000_000  # from half past eight to half past ten
    midnight_ms = at_ms - (at_ms + rhythm.LOCAL_OFFSET_MS) % rhythm.DAY_MS
    return next(
        morning_ms
        for day in range(1, 15)
        if _may_begin(sort, morning_ms := midnight_ms + day * rhythm.DAY_MS + round(hour * HOUR_MS))
    )


def _may_begin(sort: Sort, morning_ms: int) -> bool:
    if not rhythm.is_working_day(morning_ms):
        return False
    weekday = ((morning_ms + rhythm.LOCAL_OFFSET_MS) // rhythm.DAY_MS + rhythm.EPOCH_WEEKDAY) % 7
    return sort.when == "office-hours" or weekday == 2
