"""Hits: what one failure does to one site, as mishaps on its devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Protocol

from simulators.mishaps import GW, ISP, Mishap
from simulators.premises import ON_MAINS, PROBE, Premises
from simulators.troubles import Dark, Trouble

MINUTE_MS = 60_000


@dataclass(slots=True)
class Hit:
    """Mishaps by device, and when the site was dark or lived on its other uplink."""

    mishaps: dict[str, list[Mishap]] = field(default_factory=dict)
    dark: list[Dark] = field(default_factory=list)
    on_backup: list[str] = field(default_factory=list)

    def add(self, device: str, *mishaps: Mishap) -> None:
        """More mishaps on a device."""
        self.mishaps.setdefault(device, []).extend(mishaps)

    def join(self, other: Hit) -> None:
        """Everything of another hit as well."""
        for device, mishaps in other.mishaps.items():
            self.add(device, *mishaps)
        self.dark += other.dark
        self.on_backup += other.on_backup


def power_cut(at: Premises, start_ms: int, end_ms: int, draw: Random) -> Hit:
    """Mains off: who has a battery measures on, but the site is dark when its router is."""
    hit = Hit()
    dies_ms = start_ms + at.ups_ms
    back_ms = end_ms + round(draw.uniform(25, 90) * 1000)  # the router boots
    for device in at.devices:
        hit.add(device.device, Mishap("mains-off", start_ms, end_ms))
        if device.kind == PROBE:
            _probe_without_mains(hit, at, device.device, start_ms, end_ms)
        elif device.kind in ON_MAINS:
            hit.add(device.device, Mishap("off", start_ms, end_ms))
        if dies_ms < end_ms:
            cut_ms = end_ms if device.kind in (PROBE, *ON_MAINS) else dies_ms
            hit.add(device.device, Mishap("offline", cut_ms, back_ms))
            if device.kind == PROBE:
                hit.add(device.device, Mishap("dead", end_ms, back_ms, first=GW))
    if dies_ms < end_ms:
        hit.dark.append(Dark(at.name, dies_ms, back_ms))
    return hit


def _probe_without_mains(hit: Hit, at: Premises, probe: str, start_ms: int, end_ms: int) -> None:
    dies_ms = start_ms + at.ups_ms
    if at.ups_ms:
        until_ms = min(end_ms, dies_ms)
        drained = 96.0 * (until_ms - start_ms) / at.ups_ms
        hit.add(probe, Mishap("battery", start_ms, until_ms, drained, shape="ramp"))
    if dies_ms < end_ms:
        router_dies_ms = dies_ms - min(4 * MINUTE_MS, at.ups_ms // 10)
        if at.ups_ms:
            hit.add(probe, Mishap("offline", router_dies_ms, dies_ms))
            hit.add(probe, Mishap("dead", router_dies_ms, dies_ms, first=GW))
        hit.add(probe, Mishap("off", dies_ms, end_ms))


def link_cut(
    at: Premises,
    uplinks: tuple[int, ...],
    start_ms: int,
    end_ms: int,
    draw: Random,
    *,
    first: int = ISP,
) -> Hit:
    """No way through some of its uplinks, from a tier on; its router may take the other one."""
    hit = Hit()
    spare = len(at.site.uplinks) > len(uplinks)
    moved_ms = start_ms + round(draw.uniform(15, 70) * 1000)
    for uplink in uplinks:
        moves = spare and at.fails_over and uplink == 1
        for device in at.behind(uplink):
            until_ms = min(moved_ms, end_ms) if moves else end_ms
            hit.add(device.device, Mishap("offline", start_ms, until_ms))
            hit.add(device.device, Mishap("dead", start_ms, until_ms, first=first))
            if moves and moved_ms < end_ms:
                hit.add(device.device, Mishap("backup", moved_ms, end_ms))
        if moves and moved_ms < end_ms and at.behind(uplink):
            hit.on_backup.append(at.name)
    alive = [d for d in at.devices if d.uplink not in uplinks]
    if not hit.on_backup and not alive and hit.mishaps:
        hit.dark.append(Dark(at.name, start_ms, end_ms))
    return hit


def rain_fade(at: Premises, start_ms: int, end_ms: int, depth_db: float) -> Hit:
    """A cell of rain over the dish: signal, then speed, then loss, then, if deep, silence."""
    hit = Hit()
    length_ms = end_ms - start_ms
    deep = depth_db > 7.0
    dark = (start_ms + round(0.3 * length_ms), start_ms + round(0.7 * length_ms))
    for device in at.behind(1):
        if device.kind == PROBE:
            hit.add(
                device.device,
                Mishap("esno", start_ms, end_ms, depth_db, shape="hump"),
                Mishap("slow-down", start_ms, end_ms, 0.9, shape="hump"),
                Mishap("loss", start_ms, end_ms, min(0.5, 0.03 * depth_db), shape="hump"),
            )
        if deep:
            hit.add(device.device, Mishap("offline", *dark), Mishap("dead", *dark, first=ISP))
    if deep and all(device.uplink == 1 for device in at.devices):
        hit.dark.append(Dark(at.name, *dark))
    return hit


def flapping(at: Premises, start_ms: int, end_ms: int, draw: Random) -> Hit:
    """Many short sessions of the first uplink."""
    hit = Hit()
    at_ms = start_ms
    while at_ms < end_ms:
        down_ms = round(min(12.0, 1.0 + draw.expovariate(1 / 2.5)) * MINUTE_MS)
        until_ms = min(end_ms, at_ms + down_ms)
        hit.join(link_cut(at, (1,), at_ms, until_ms, draw))
        at_ms = until_ms + round(min(14.0, 1.5 + draw.expovariate(1 / 3.0)) * MINUTE_MS)
    return hit


def on_probes(at: Premises, *mishaps: Mishap) -> Hit:
    """Mishaps that only probes of the first uplink see."""
    hit = Hit()
    for device in at.probes:
        if device.uplink == 1:
            hit.add(device.device, *mishaps)
    return hit


def on_device(device: str, *mishaps: Mishap) -> Hit:
    """Mishaps on one device."""
    hit = Hit()
    hit.add(device, *mishaps)
    return hit


def platform_away(at: Premises, start_ms: int, end_ms: int) -> Hit:
    """The broker is away: every device measures on and finds the network well."""
    hit = Hit()
    for device in at.devices:
        hit.add(device.device, Mishap("platform", start_ms, end_ms))
    return hit


class FailureMode(Protocol):
    """What a failure is called, of one site or of many."""

    @property
    def type(self) -> str:
        """Name of the mode."""

    @property
    def nature(self) -> str:
        """As in alerts."""

    @property
    def cause(self) -> str:
        """As in incidents."""

    @property
    def metric(self) -> str | None:
        """The metric that shows it best."""


def trouble_of(
    mode: FailureMode,
    name: str,
    scope: tuple[str, str],
    hit: Hit,
    members: Sequence[Premises],
    start_ms: int,
    end_ms: int,
    *,
    more: Mapping[str, str] = MappingProxyType({}),
) -> Trouble:
    """The trouble that a hit on these sites is. more: further keys of its truth line."""
    return Trouble(
        fault=name,
        type=mode.type,
        nature=mode.nature,
        cause=mode.cause,
        scope=scope,
        start_ms=start_ms,
        end_ms=end_ms,
        mishaps=hit.mishaps,
        sites=[at.name for at in members if any(d.device in hit.mishaps for d in at.devices)],
        devices=list(hit.mishaps),
        dark=hit.dark,
        on_backup=hit.on_backup,
        metric=mode.metric,
        more=more,
    )
