"""Gives sorts of events their devices, times and strengths in one run, by chance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from devices.registry import Device, Registry
from simulators.facility import Event
from simulators.facility_sorts import Part, Sort, When
from simulators.world import rhythm
from simulators.world.chance import stream
from simulators.world.climate import Sky, sky_over
from simulators.world.effects import Effect

HOUR_MS = 3_600_000
APART_MS = 8 * HOUR_MS  # of health between two events of one device
HEALTHY_MS = 24 * HOUR_MS  # at the start of a run, if it is much longer
TRIES = 12
HARD_RAIN = 0.3
STORM_WITHIN_MS = 4 * 24 * HOUR_MS
STORM_STEP_MS = 600_000

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
            sky = sky_over(seed, registry.sites[devices[0].site])
            for nth in range(1, 1 + _count(draw, sort.per_day * rates, span_ms)):
                wanted = _Wanted(draw.random(), sort, scope, devices, sky, draw, nth)
                alone[sort.together == "device"].append(wanted)
    # By chance, so that no sort comes before another where room is scarce.
    in_order = [one for found in alone.values() for one in sorted(found, key=lambda w: w.turn)]
    placed = (_place(wanted, span_ms, diary) for wanted in in_order)
    return [event for event in placed if event is not None]


class _Wanted(NamedTuple):
    """An event before it has a time. turn: when it is placed. nth: of its sort and scope.

    sky: the weather over its first device.
    """

    turn: float
    sort: Sort
    scope: tuple[str, str]
    devices: list[Device]
    sky: Sky
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
    if sort.together == "feeder":
        return "feeder", site.feeder or f"of {site.site}"
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
    settles_ms = round(sort.settles_s * 1000)
    parts = sort.parts(draw)
    first_ms = span_ms[0] + min(HEALTHY_MS, (span_ms[1] - span_ms[0]) // 10)
    last_ms = span_ms[1] - length_ms - settles_ms
    if last_ms <= first_ms:
        return None
    for _ in range(TRIES):
        start_ms = _beginning(wanted, draw.randrange(first_ms, last_ms))
        end_ms = start_ms + length_ms + settles_ms
        if end_ms <= span_ms[1] and diary.is_free(names, start_ms, end_ms):
            diary.take(names, start_ms, end_ms)
            return _event(wanted, parts, start_ms, length_ms)
    return None


def _event(wanted: _Wanted, parts: Sequence[Part], start_ms: int, length_ms: int) -> Event:
    sort, devices = wanted.sort, wanted.devices
    scope = _narrowed(wanted.scope, devices)
    label = [sort.type, sort.metric, wanted.scope[1].replace("/", "-"), str(wanted.nth)]
    effects = effects_of(parts, start_ms, start_ms + length_ms)
    return Event(
        fault="-".join(filter(None, label)),
        type=sort.type,
        truth=sort.truth,
        scope=scope,
        devices=tuple(device.device for device in devices),
        sites=tuple(sorted({device.site for device in devices})),
        metric=sort.shown(parts),
        start_ms=start_ms,
        end_ms=start_ms + length_ms + round(sort.settles_s * 1000),
        effects={device.device: effects for device in devices},
        sigmas=next((part.sigmas for part in parts if part.sigmas is not None), None),
    )


def _narrowed(scope: tuple[str, str], devices: Sequence[Device]) -> tuple[str, str]:
    """The smallest scope that holds the devices: what hits one device is not a district's."""
    if len(devices) == 1:
        return "device", devices[0].device
    sites = {device.site for device in devices}
    return ("site", sites.pop()) if len(sites) == 1 else scope


def effects_of(parts: Sequence[Part], start_ms: int, end_ms: int) -> tuple[Effect, ...]:
    """The effects of an event that is on from start_ms to end_ms."""
    return tuple(
        Effect(part.what, start_ms, end_ms, part.size, part.shape, part.metric) for part in parts
    )


def _beginning(wanted: _Wanted, at_ms: int) -> int:
    """The first time from at_ms at which the event may begin."""
    when = wanted.sort.when
    if when == "any":
        return at_ms
    if when == "storm":
        return _next_storm(wanted.sky, at_ms)
    first_hour = 17.5 if when == "evening" else 8.5
    hour = first_hour + at_ms % 4_000_000 / 2_000_000  # in the two hours after
    midnight_ms = at_ms - (at_ms + rhythm.LOCAL_OFFSET_MS) % rhythm.DAY_MS
    mornings = (midnight_ms + day * rhythm.DAY_MS + round(hour * HOUR_MS) for day in range(1, 15))
    return next(time_ms for time_ms in mornings if _may_begin(when, time_ms))


def _next_storm(sky: Sky, at_ms: int) -> int:
    """When it next rains hard; where it stays dry, at_ms: a slope upstream gave way."""
    times = range(at_ms, at_ms + STORM_WITHIN_MS, STORM_STEP_MS)
    return next((time_ms for time_ms in times if sky.rain(time_ms) > HARD_RAIN), at_ms)


def _may_begin(when: When, at_ms: int) -> bool:
    if when == "evening":
        return True
    weekday = ((at_ms + rhythm.LOCAL_OFFSET_MS) // rhythm.DAY_MS + rhythm.EPOCH_WEEKDAY) % 7
    return rhythm.is_working_day(at_ms) and (when == "office-hours" or weekday == 2)
