"""A small world for connectivity: sites, devices, and what they say, minute by minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from detection.connectivity import Connectivity
from detection.heard import Heard, RefusedRound, Rounds, StatusHeard
from detection.outages import BIN_MS, Bin, Outage
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.readings import Readings
from devices.registry import Device, Registry, Site, Uplink

START_MS = 1_790_000_100_000 // BIN_MS * BIN_MS
TICK_MS = 10_000
GOOD = dict.fromkeys(("gw_sent", "gw_rcvd", "isp_sent", "isp_rcvd", "nat_sent"), 10.0)
GOOD |= {"nat_rcvd": 10, "nat_rtt_p50_ms": 12.0, "int_sent": 10, "int_rcvd": 10}
GOOD |= {"dns_ms": 20.0, "dns_rcode": 0, "http_status": 200, "content_ok": 1}
NO_LINK = dict.fromkeys(("gw_sent", "gw_rcvd", "isp_sent", "nat_sent", "int_sent"), 10.0)
NO_LINK |= {"isp_rcvd": 0, "nat_rcvd": 0, "int_rcvd": 0}


class Say(NamedTuple):
    """One round, or with online set a status, as it arrives. Times in seconds from the start.

    misdated: ingest has refused its event time.
    """

    received_s: float
    device: str
    at_s: float
    values: Mapping[str, float] = {}
    boot: str | None = "a"
    online: bool | None = None
    uptime_s: float | None = None
    attributes: Mapping[str, str] = {}
    misdated: bool = False


def site(name: str = "s1", links: Sequence[str] = ("fibre",)) -> Site:
    """A site with these links."""
    uplinks = tuple(Uplink(f"isp-{n}", link, None, None) for n, link in enumerate(links))
    place = ("LA-LP", "luangprabang", None, None)
    return Site(name, name, name, "office", *place, "moha", uplinks, "", "normal")


def probe(name: str = "p1", where: str = "s1", interval_s: float = 60, uplink: int = 1) -> Device:
    """A connectivity probe."""
    return Device(name, where, "connectivity-probe", interval_s, uplink, {})


def sensor(name: str = "t1", where: str = "s1", interval_s: float = 300, uplink: int = 1) -> Device:
    """A thermometer."""
    return Device(name, where, "environment", interval_s, uplink, {})


@dataclass
class World:
    """Everything that is said, in order of arrival, put through connectivity with its ticks."""

    sites: Sequence[Site]
    devices: Sequence[Device]
    batch: int = 1000
    outages: dict[str, Outage] = field(default_factory=dict)
    history: list[tuple[int, Outage]] = field(default_factory=list)
    bins: dict[tuple[str, int], Bin] = field(default_factory=dict)
    published: list[Bin] = field(default_factory=list)
    now_ms: int = START_MS

    def __post_init__(self) -> None:
        self.registry = Registry(
            {s.site: s for s in self.sites}, {d.device: d for d in self.devices}
        )
        self.catalogue = Catalogue()
        for device in self.devices:
            for metric in KINDS[device.kind].metrics.values():
                self.catalogue.add(device, metric)
        self.connectivity = Connectivity(self.catalogue, self.registry)

    def play(self, said: Sequence[Say], until_s: float) -> World:
        """Let it all arrive, with a tick every ten seconds."""
        waiting = sorted(said, key=lambda say: say.received_s)
        end_ms = START_MS + round(until_s * 1000)
        at = 0
        for now_ms in range(self.now_ms + TICK_MS, end_ms + 1, TICK_MS):
            first = at
            while at < len(waiting) and START_MS + waiting[at].received_s * 1000 <= now_ms:
                at += 1
            for start in range(first, at, self.batch):
                self.connectivity.hear(self.heard(waiting[start : min(start + self.batch, at)]))
            self.tick(now_ms)
        return self

    def tick(self, now_ms: int) -> None:
        """One tick, and what it brings."""
        self.now_ms = now_ms
        self.connectivity.tick(now_ms)
        for outage in self.connectivity.take_outages():
            self.outages[outage.outage] = outage
            self.history.append((now_ms, outage))
        for one in self.connectivity.take_bins():
            self.bins[one.site, one.start_ms] = one
            self.published.append(one)

    def heard(self, said: Sequence[Say]) -> Heard:
        """A batch, as ingest makes it."""
        return heard_of(self.catalogue, said)

    def states(self, where: str = "s1") -> list[str]:
        """States of a site's bins, in order of time."""
        return [b.state for (name, _), b in sorted(self.bins.items()) if name == where]

    def settled(self) -> dict[str, Outage]:
        """Outages as they ended, without what depends on when things were known."""
        return {
            name: replace(outage, known_ms=0, returned_ms=None)
            for name, outage in self.outages.items()
        }


def heard_of(catalogue: Catalogue, said: Sequence[Say]) -> Heard:
    """A batch of what was said."""
    rounds = [say for say in said if say.online is None and not say.misdated]
    numbers = [catalogue.device_number_of(say.device) for say in rounds]
    at_ms = [START_MS + round(say.at_s * 1000) for say in rounds]
    received_ms = [START_MS + round(say.received_s * 1000) for say in rounds]
    series, values, round_of = [], [], []
    for place, say in enumerate(rounds):
        for metric, value in say.values.items():
            number = catalogue.find(say.device, metric)
            assert number is not None, metric
            series.append(number)
            values.append(float(value))
            round_of.append(place)
    intervals = [catalogue.devices[number or 0].interval_s for number in numbers]
    lateness = [max(120_000, round(3000 * interval)) for interval in intervals]
    late = [r - a > bound for r, a, bound in zip(received_ms, at_ms, lateness, strict=True)]
    return Heard(
        Readings.of(
            series,
            [at_ms[place] for place in round_of],
            [received_ms[place] for place in round_of],
            values,
        ),
        ~np.array([late[place] for place in round_of], np.bool_),
        np.array(round_of, np.int32),
        Rounds(
            np.array(numbers, np.int32),
            np.array(at_ms, np.int64),
            np.array(received_ms, np.int64),
            np.array(late, np.bool_),
            [say.boot for say in rounds],
            np.full(len(rounds), -1, np.int64),
            np.array([np.nan if s.uptime_s is None else s.uptime_s for s in rounds], np.float64),
            {place: dict(s.attributes) for place, s in enumerate(rounds) if s.attributes},
        ),
        [
            StatusHeard(
                catalogue.device_number_of(say.device) or 0,
                say.online,
                say.boot,
                START_MS + round(say.at_s * 1000),
                START_MS + round(say.received_s * 1000),
                say.uptime_s,
            )
            for say in said
            if say.online is not None
        ],
        [
            RefusedRound(
                catalogue.device_number_of(say.device) or 0,
                START_MS + round(say.at_s * 1000),
                START_MS + round(say.received_s * 1000),
            )
            for say in said
            if say.misdated
        ],
    )


def living(
    device: Device,
    start_s: float,
    end_s: float,
    *,
    phase_s: float = 7,
    delay_s: float = 0.5,
    boot: str = "a",
    **more: float,
) -> list[Say]:
    """The rounds of a device that is well, from start_s to before end_s."""
    probe_values = {**GOOD, **more}
    values = probe_values if device.kind == "connectivity-probe" else {"temperature_c": 25.0}
    step = device.interval_s
    first = start_s + (phase_s - start_s) % step
    times = np.arange(first, end_s, step).tolist()
    return [Say(at + delay_s, device.device, at, values, boot) for at in times]


def cut_off(
    device: Device, start_s: float, end_s: float, *, phase_s: float = 7, boot: str = "a"
) -> list[Say]:
    """What a device measures from start_s to end_s while its link is dead, sent from end_s on."""
    values = NO_LINK if device.kind == "connectivity-probe" else {"temperature_c": 25.0}
    step = device.interval_s
    first = start_s + (phase_s - start_s) % step
    times = np.arange(first, end_s, step).tolist()
    return [Say(end_s + 5 + 0.2 * n, device.device, at, values, boot) for n, at in enumerate(times)]
