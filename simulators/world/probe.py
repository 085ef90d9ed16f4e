"""`connectivity-probe` devices: round trips of four tiers, names, pages, speed, own state."""

from __future__ import annotations

import math
from random import Random

import numpy as np
from numpy.typing import NDArray

from devices.kinds import KINDS
from devices.registry import Device, Site
from simulators.mishaps import TIERS, Conditions
from simulators.world import rhythm
from simulators.world.links import Columns, Floats, echo_columns
from simulators.world.machine import Machine, Radio
from simulators.world.paths import Traffic, Ways
from simulators.world.power import Feeder

Values = dict[str, float | int | bool | None]

DETAIL_EVERY = 10  # rounds
TEST_EVERY_S = (21_600.0, 2_160.0, 54_000.0)  # mean, least, most between two speed tests
DETAILS = (
    *(f"{tier}_dup" for tier in TIERS),
    *(f"{tier}_rtt_max_ms" for tier in TIERS),  # of ten packets it is the 95th percentile
    *("gw_rtt_p95_ms", "gw_jitter_ms", "isp_jitter_ms"),
    *("boot_count", "backlog_msgs", "backlog_oldest_s", "dropped_msgs", "clock_offset_ms"),
    *("clock_sync_age_s", "cert_days_left", "pmtu_bytes"),
)
METRICS = KINDS["connectivity-probe"].metrics


class Probe:
    """A probe at an office: every metric of the kind that its link type has."""

    def __init__(self, random: Random, device: Device, site: Site, seed: int) -> None:
        self._draw = draw = np.random.Generator(np.random.PCG64(random.getrandbits(128)))
        own = site.uplinks[device.uplink - 1]
        other = [uplink for uplink in site.uplinks if uplink is not own]
        ways = [Ways(draw, uplink.link_type, site) for uplink in [own, *other]]
        self._ways = ways
        self._traffic = Traffic(draw, ways)
        self._down_mbps = own.contracted_down_mbps or ways[0].link.down_mbps
        self._up_mbps = own.contracted_up_mbps or self._down_mbps / 3
        self._opens_late_ms = round(float(np.clip(draw.normal(0, 15), -40, 40)) * 60_000)
        self._homes = float(draw.beta(1.5, 3.0))  # how much of the evening's traffic passes here
        self._dns_ms = float(draw.uniform(4.0, 22.0))
        self._server_ms = float(draw.uniform(25.0, 70.0))
        self._machine = Machine(random, draw, Feeder.of(seed, site))
        self._radios = [Radio(draw, way.link.radio) for way in ways]
        self._rounds = 0
        self._until_test_s = float(draw.uniform(0.0, TEST_EVERY_S[0]))

    def measure(self, at_ms: int, dt_s: float) -> Values:
        """One round; see simulators.world.model."""
        return self.rounds(np.array([at_ms]), dt_s, Conditions(1))[0]

    def rounds(self, at_ms: NDArray[np.int64], dt_s: float, on: Conditions) -> list[Values]:
        """Rounds at n times, dt_s apart, under these conditions; rounded, None: not measured."""
        theirs_ms = at_ms + self._opens_late_ms
        load = np.maximum(
            rhythm.office_loads(theirs_ms), self._homes * rhythm.levels(rhythm.EVENING, theirs_ms)
        )
        load = np.minimum(2.5, load + on.load)
        packets = self._traffic.packets(at_ms / 1000, dt_s, load, on)
        columns: Columns = {}
        for place, tier in enumerate(TIERS):
            columns |= echo_columns(packets[:, place, :], tier)
        reached = columns["nat_rcvd"] > 0
        columns |= self._names(columns, load, on) | self._page(columns, load, on)
        columns |= self._machine.columns(at_ms, dt_s, on)
        columns |= self._radio(len(at_ms), dt_s, on)
        columns |= self._speed(columns, load, reached, dt_s, on)
        first = self._rounds % DETAIL_EVERY
        self._rounds += len(at_ms)
        detailed = (np.arange(len(at_ms)) + first) % DETAIL_EVERY == 0
        columns |= self._detail(at_ms, on)
        for name in DETAILS:
            columns[name] = np.where(detailed, columns[name], np.nan)
        return _rows(columns)

    def _names(self, tiers: Columns, load: Floats, on: Conditions) -> Columns:
        count = len(load)
        far = tiers["isp_rtt_min_ms"]
        work = self._dns_ms * (1 + load) * self._draw.lognormal(0.0, 0.35, count)
        slow = self._draw.random(count) < 0.01
        work += np.where(slow, self._draw.exponential(120.0, count), 0.0)
        failed = on.dns_fails | (tiers["nat_rcvd"] == 0)
        servfail = on.dns_fails & (tiers["isp_rcvd"] > 0) & (self._draw.random(count) < 0.6)
        return {
            "dns_ms": np.where(failed, np.nan, np.minimum(far + work, far + 250.0)),
            "dns_rcode": np.where(servfail, 2.0, np.where(failed, np.nan, 0.0)),
        }

    def _page(self, tiers: Columns, load: Floats, on: Conditions) -> Columns:
        draw, count = self._draw, len(load)
        floor_ms = np.where(on.blocked, tiers["isp_rtt_min_ms"], tiers["nat_rtt_min_ms"])
        wait_ms = np.maximum(0.05, tiers["nat_rtt_p50_ms"] - tiers["nat_rtt_min_ms"])
        wait_ms = np.nan_to_num(wait_ms, nan=1.0)
        tcp = floor_ms + draw.exponential(wait_ms)
        tls = 2 * floor_ms + draw.exponential(2 * wait_ms) + 3.0
        tail = np.minimum(1.0 + draw.pareto(3.2, count), 12.0)
        first = floor_ms + self._server_ms * (1 + 0.6 * load) * tail + draw.exponential(wait_ms)
        transfer = 8 * 24_000 / (self._down_mbps * 1000) * (1 + load) / on.down
        tcp_fails = np.isnan(floor_ms) | on.dns_fails
        fails = tcp_fails | on.stalled
        portal = on.blocked & ~fails
        tls = np.where(portal, np.nan, tls)
        return {
            "tcp_ms": np.where(tcp_fails, np.nan, tcp),
            "tls_ms": np.where(fails, np.nan, tls),
            "ttfb_ms": np.where(fails, np.nan, first),
            "http_total_ms": np.where(fails, np.nan, tcp + np.nan_to_num(tls) + first + transfer),
            "http_status": np.where(fails, np.nan, np.where(portal, 302.0, 200.0)),
            "content_ok": np.where(fails, np.nan, np.where(portal, 0.0, 1.0)),
        }

    def _radio(self, count: int, dt_s: float, on: Conditions) -> Columns:
        columns = self._radios[0].columns(count, dt_s, on)
        if len(self._radios) > 1:
            columns = {name: np.where(on.backup, np.nan, c) for name, c in columns.items()}
            for name, column in self._radios[1].columns(count, dt_s, on).items():
                columns[name] = np.where(on.backup, column, columns.get(name, np.nan))
        return columns

    def _speed(
        self, tiers: Columns, load: Floats, reached: NDArray[np.bool_], dt_s: float, on: Conditions
    ) -> Columns:
        """The speed tests that fall into these rounds, of which most have none."""
        count = len(load)
        names = ("down_mbps", "up_mbps", "loaded_rtt_ms", "test_bytes")
        columns = {name: np.full(count, np.nan) for name in names}
        mean, least, most = TEST_EVERY_S
        draw, row = self._draw, 0
        while (ahead := math.ceil(self._until_test_s / max(dt_s, 1e-3))) < count - row:
            row += ahead
            self._until_test_s = min(most, max(least, float(draw.exponential(mean))))
            if not reached[row] or on.stalled[row] or on.blocked[row]:
                continue
            way = self._ways[-1 if on.backup[row] else 0]
            most_down = way.link.down_mbps if on.backup[row] else self._down_mbps
            most_up = most_down / 3 if on.backup[row] else self._up_mbps
            shares = np.clip(draw.normal([0.93, 0.92], 0.06), 0.1, 1.05)
            used = (1 - 0.35 * min(1.0, load[row])) / (1 + 40 * on.loss[row, 2]) ** 0.5
            columns["down_mbps"][row] = max(0.01, most_down * shares[0] * used * on.down[row])
            columns["up_mbps"][row] = max(0.01, most_up * shares[1] * used * on.up[row])
            queue_ms = way.link.queue_ms * float(draw.uniform(6, 14)) * on.queue[row, 2]
            columns["loaded_rtt_ms"][row] = tiers["nat_rtt_min_ms"][row] + queue_ms
            columns["test_bytes"][row] = columns["down_mbps"][row] * 1.25e6
        self._until_test_s -= (count - row) * dt_s
        return columns

    def _detail(self, at_ms: NDArray[np.int64], on: Conditions) -> Columns:
        """What it reports in some rounds only."""
        usual = np.where(on.backup, self._ways[-1].link.radio != "", self._ways[0].link.radio != "")
        repeated = self._draw.random((len(at_ms), len(TIERS))) < 0.0005
        doubles: Columns = {
            f"{tier}_dup": repeated[:, n].astype(np.float64) for n, tier in enumerate(TIERS)
        }
        pmtu: Floats = np.where(usual, 1420.0, 1500.0) - on.pmtu
        doubles["pmtu_bytes"] = pmtu
        return self._machine.detail(at_ms, on) | doubles


def _rows(columns: Columns) -> list[Values]:
    """Columns as rounded rounds; nan is None."""
    names = list(columns)
    cells = [_cells(name, column) for name, column in columns.items()]
    return [dict(zip(names, row, strict=True)) for row in zip(*cells, strict=True)]


def _cells(name: str, column: Floats) -> list[float | int | bool | None]:
    metric = METRICS[name]
    none = np.isnan(column)
    if metric.is_bool:
        plain: list[float | int | bool | None] = (column >= 0.5).tolist()
    elif metric.resolution == 1.0:
        plain = np.rint(np.nan_to_num(column)).astype(np.int64).tolist()
    elif metric.resolution == 0.5:
        plain = (np.rint(column * 2) / 2).tolist()
    else:
        plain = np.round(column, round(-math.log10(metric.resolution))).tolist()
    for row in np.flatnonzero(none).tolist():
        plain[row] = None
    return plain
