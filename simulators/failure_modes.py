"""The failure modes of links, sites and probes: what each does, to whom, how often, how long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from simulators.hits import (
    Hit,
    flapping,
    link_cut,
    on_device,
    on_probes,
    power_cut,
    rain_fade,
)
from simulators.mishaps import INT, ISP, NAT, Mishap
from simulators.premises import Premises
from simulators.world import rhythm
from simulators.world.links import LINKS

HOUR_MS = 3_600_000
SEVEN_HOURS_MS = 7 * HOUR_MS

Build = Callable[[Premises, int, int, Random], Hit]
Fits = Callable[[Premises], bool]


@dataclass(frozen=True, slots=True)
class Mode:
    """One failure mode of a site or its probe.

    a_day: how many a site has in a day. hours: shortest, usual and longest. scope: what an
    incident of it is about. metric: the one that shows it best.
    """

    type: str
    nature: str
    cause: str
    scope: str
    a_day: float
    hours: tuple[float, float, float]
    build: Build
    fits: Fits
    metric: str | None = None
    at_work: bool = False

    def scope_of(self, at: Premises, hit: Hit) -> tuple[str, str]:
        """What an incident of it at a site is about."""
        return self.scope, at.name if self.scope == "site" else next(iter(hit.mishaps))

    def length_ms(self, draw: Random) -> int:
        """A length: most near the usual one, some far longer."""
        least, usual, most = self.hours
        return round(min(most, max(least, usual * draw.lognormvariate(0.0, 0.7))) * HOUR_MS)


def _any(at: Premises) -> bool:
    return bool(at.probes)


def _single(at: Premises) -> bool:
    return bool(at.probes) and not at.fails_over


def _fails_over(at: Premises) -> bool:
    return bool(at.probes) and at.fails_over


def _radio(kind: str) -> Fits:
    return lambda at: bool(at.probes) and LINKS[at.link_type()].radio == kind


def _first_probe(at: Premises) -> str:
    return at.probes[0].device


def _last_mile(at: Premises, start: int, end: int, draw: Random) -> Hit:
    return link_cut(at, (1,), start, end, draw)


def _fade(at: Premises, start: int, end: int, draw: Random) -> Hit:
    return rain_fade(at, start, end, draw.uniform(5.0, 12.0))


def _congestion(at: Premises, start: int, end: int, draw: Random) -> Hit:
    queue = draw.uniform(3.0, 9.0)
    return on_probes(
        at,
        Mishap("queue", start, end, queue, shape="hump"),
        Mishap("load", start, end, draw.uniform(0.3, 0.9)),
        Mishap("slow-down", start, end, draw.uniform(0.4, 0.8)),
        Mishap("loss", start, end, draw.uniform(0.0, 0.02)),
    )


def _blocked(at: Premises, start: int, end: int, draw: Random) -> Hit:
    hit = on_probes(at, Mishap("blocked", start, end))
    for device in at.behind(1):
        hit.add(device.device, Mishap("refused", start, end))
    return hit


def _weak_radio(at: Premises, start: int, end: int, draw: Random) -> Hit:
    weak = draw.uniform(18.0, 30.0)
    return on_probes(
        at,
        Mishap("rsrp", start, end, weak),
        Mishap("sinr", start, end, draw.uniform(14.0, 24.0)),
        Mishap("loss", start, end, draw.uniform(0.05, 0.25)),
        Mishap("queue", start, end, 2.0),
        Mishap("slow-down", start, end, 0.7),
    )


def _cell_overload(at: Premises, start: int, end: int, draw: Random) -> Hit:
    return on_probes(
        at,
        Mishap("rsrq", start, end, draw.uniform(7.0, 11.0)),
        Mishap("sinr", start, end, draw.uniform(6.0, 12.0)),
        Mishap("queue", start, end, draw.uniform(3.0, 7.0), shape="hump"),
        Mishap("loss", start, end, draw.uniform(0.02, 0.08)),
        Mishap("slow-down", start, end, 0.8),
    )


def _silent_loss(at: Premises, start: int, end: int, draw: Random) -> Hit:
    size = draw.uniform(0.008, 0.05)
    return on_probes(at, Mishap("loss", start, end, size, first=ISP, last=NAT))


def _slow_uplink(at: Premises, start: int, end: int, draw: Random) -> Hit:
    return on_probes(at, Mishap("slow-up", start, end, draw.uniform(0.75, 0.95)))


def _black_hole(at: Premises, start: int, end: int, draw: Random) -> Hit:
    less = float(draw.choice((92, 120, 160, 220)))
    return on_probes(at, Mishap("stalled", start, end), Mishap("pmtu", start, end, less))


def _detour(at: Premises, start: int, end: int, draw: Random) -> Hit:
    usual_ms = LINKS[at.link_type()].nat_ms + 6.0
    more = usual_ms * draw.uniform(0.9, 2.0)
    return on_probes(at, Mishap("delay", start, end, more, first=NAT, last=INT))


def _probe_dead(at: Premises, start: int, end: int, draw: Random) -> Hit:
    return on_device(_first_probe(at), Mishap("off", start, end))


def _hang(at: Premises, start: int, end: int, draw: Random) -> Hit:
    probe = _first_probe(at)
    return on_device(probe, Mishap("hang", start, end), Mishap("restart", end - 5_000, end))


def _clock_reset(at: Premises, start: int, end: int, draw: Random) -> Hit:
    to_ms = draw.choice((0, 946_684_800_000, 1_577_836_800_000 - 86_400_000))
    return on_device(_first_probe(at), Mishap("clock", start, end, float(to_ms - start)))


def _clock_step(at: Premises, start: int, end: int, draw: Random) -> Hit:
    size_ms = draw.uniform(45_000, 240_000) * draw.choice((-1, 1))
    return on_device(_first_probe(at), Mishap("clock", start, end, size_ms))


def _clock_drift(at: Premises, start: int, end: int, draw: Random) -> Hit:
    ppm = draw.uniform(150.0, 600.0) * draw.choice((-1, 1))
    size_ms = ppm * 1e-6 * (end - start)
    return on_device(_first_probe(at), Mishap("clock", start, end, size_ms, shape="ramp"))


def _timezone(at: Premises, start: int, end: int, draw: Random) -> Hit:
    size_ms = float(draw.choice((-SEVEN_HOURS_MS, SEVEN_HOURS_MS)))
    return on_device(_first_probe(at), Mishap("clock", start, end, size_ms))


def _twin(at: Premises, start: int, end: int, draw: Random) -> Hit:
    return on_device(_first_probe(at), Mishap("twin", start, end))


MODES: dict[str, Mode] = {
    mode.type: mode
    for mode in (
        Mode("power-cut", "connectivity", "power", "site", 0.008, (0.1, 1.2, 8), power_cut, _any),
        Mode("last-mile-cut", "connectivity", "last-mile", "site", 0.0096, (0.4, 3, 60),
             _last_mile, _single),
        Mode("fallback", "connectivity", "last-mile", "site", 0.0128, (0.5, 3, 36), _last_mile,
             _fails_over),
        Mode("rain-fade", "connectivity", "rain-fade", "site", 0.0032, (0.15, 0.5, 1), _fade,
             _radio("vsat"), "esno_db"),
        Mode("flapping", "connectivity", "flapping", "site", 0.0024, (1, 3, 10), flapping, _any),
        Mode("congestion", "connectivity", "congestion", "site", 0.0032, (1.5, 4, 7),
             _congestion, _any, "nat_rtt_p50_ms", at_work=True),
        Mode("blocked", "connectivity", "blocked", "site", 0.0016, (4, 14, 60), _blocked, _single,
             "content_ok"),
        Mode("weak-radio", "connectivity", "radio", "site", 0.0048, (1, 5, 30), _weak_radio,
             _radio("lte"), "rsrp_dbm"),
        Mode("cell-overload", "connectivity", "radio", "site", 0.0032, (1.5, 4, 9),
             _cell_overload, _radio("lte"), "rsrq_db", at_work=True),
        Mode("silent-loss", "connectivity", "last-mile", "site", 0.0024, (8, 30, 90),
             _silent_loss, _any, "nat_loss_pct"),
        Mode("slow-uplink", "connectivity", "last-mile", "site", 0.00128, (30, 60, 120),
             _slow_uplink, _any, "up_mbps"),
        Mode("mtu-black-hole", "connectivity", "last-mile", "site", 0.0016, (5, 20, 60),
             _black_hole, _any, "pmtu_bytes"),
        Mode("detour", "connectivity", "provider", "site", 0.0032, (0.7, 5, 30), _detour, _any,
             "nat_rtt_min_ms"),
        Mode("probe-dead", "connectivity", "probe", "device", 0.0032, (2, 14, 72), _probe_dead,
             _any),
        Mode("agent-hang", "connectivity", "agent", "device", 0.0032, (0.7, 4, 24), _hang, _any),
        Mode("clock-reset", "data_quality", "clock", "device", 0.00112, (1, 8, 48), _clock_reset,
             _any),
        Mode("clock-step", "data_quality", "clock", "device", 0.00112, (2, 8, 48), _clock_step,
             _any),
        Mode("clock-drift", "data_quality", "clock", "device", 0.0008, (40, 70, 120),
             _clock_drift, _any),
        Mode("timezone", "data_quality", "clock", "device", 0.0008, (4, 20, 60), _timezone, _any),
        Mode("duplicate-identity", "security", "duplicate-identity", "device", 0.00096, (1, 3, 6),
             _twin, _any),
    )
}  # fmt: skip


def at_work_ms(start_ms: int) -> int:
    """A time near the start of that local day's working hours."""
    midnight_ms = (start_ms + rhythm.LOCAL_OFFSET_MS) // rhythm.DAY_MS * rhythm.DAY_MS
    return midnight_ms - rhythm.LOCAL_OFFSET_MS + round(8.6 * HOUR_MS)
