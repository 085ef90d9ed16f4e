"""`connectivity-probe` devices: round trips of four tiers, names, pages, speed, own state."""

from __future__ import annotations

import math
from random import Random

from devices.geography import PROVINCES
from devices.registry import Device, Site
from simulators.world import rhythm
from simulators.world.chance import Wander, heavy_tail
from simulators.world.links import GEO_FLOOR_MS, LINKS, LinkType, Path
from simulators.world.power import Mains

Values = dict[str, float | int | bool | None]

LAN = LinkType(0.5, 0, 0, 0.12, 1.5, 0.004, 1.5, 0.0, 0.01, 0.05, 0, "")
CAPITAL = "LA-VT"
KM_PER_DEGREE = 111.0
KM_PER_MS = 100.0  # light in fibre, both ways
ROAD_DETOUR = 1.5  # a cable follows the road
DETAIL_EVERY = 10  # rounds
TEST_EVERY_S = (21_600.0, 2_160.0, 54_000.0)  # mean, least, most between two speed tests
CERTIFICATE_DAYS = 90
PAGE_METRICS = ("tcp_ms", "tls_ms", "ttfb_ms", "http_total_ms", "http_status", "content_ok")


class Probe:
    """A probe at an office: every metric of the kind that its link type has."""

    def __init__(self, random: Random, device: Device, site: Site) -> None:
        self._random = random
        uplink = site.uplinks[device.uplink - 1]
        self._link = link = LINKS[uplink.link_type]
        self._down_mbps = uplink.contracted_down_mbps or link.down_mbps
        self._up_mbps = uplink.contracted_up_mbps or self._down_mbps / 3
        self._paths = _paths(random, link, site)
        self._dns_ms = random.uniform(4.0, 22.0)
        self._server_ms = random.uniform(25.0, 70.0)
        self._machine = Machine(random)
        self._radio = Radio(random, link.radio)
        self._rounds = 0
        self._until_test_s = random.uniform(0.0, TEST_EVERY_S[0])

    def measure(self, at_ms: int, dt_s: float) -> Values:
        load = rhythm.office_load(at_ms)
        values: Values = {}
        for tier, path in self._paths.items():
            values |= path.round(dt_s, load).values(tier)
        reached = bool(values["nat_rcvd"])
        floor_ms = self._paths["nat"].floor_ms
        values |= self._names(reached, load) | self._page(reached, floor_ms, load)
        values |= self._machine.measure(at_ms, dt_s) | self._radio.measure(dt_s)
        if self._rounds % DETAIL_EVERY == 0:
            values |= self._machine.detail(at_ms)
            values |= {f"{tier}_dup": 0 for tier in self._paths}
            values["pmtu_bytes"] = 1420 if self._link.radio else 1500
        self._rounds += 1
        self._until_test_s -= dt_s
        if self._until_test_s <= 0:
            values |= self._speed(load, floor_ms)
        return values

    def _names(self, reached: bool, load: float) -> Values:
        if not reached:
            return {"dns_ms": None, "dns_rcode": None}
        far = self._paths["isp"].floor_ms
        work = self._dns_ms * (1 + load) * self._random.lognormvariate(0.0, 0.35)
        return {"dns_ms": min(far + work, far + 250.0), "dns_rcode": 0}

    def _page(self, reached: bool, floor_ms: float, load: float) -> Values:
        if not reached:
            return dict.fromkeys(PAGE_METRICS)
        draw = self._random
        wait_ms = self._link.queue_ms * (1 + self._link.busy * load)
        tcp = floor_ms + draw.expovariate(1 / wait_ms)
        tls = 2 * floor_ms + draw.expovariate(1 / (2 * wait_ms)) + 3.0
        work = self._server_ms * (1 + 0.6 * load) * heavy_tail(draw, shape=3.2, most=12.0)
        first = floor_ms + work + draw.expovariate(1 / wait_ms)
        transfer = 8 * 24_000 / (self._down_mbps * 1000) * (1 + load)
        return {
            "tcp_ms": tcp,
            "tls_ms": tls,
            "ttfb_ms": first,
            "http_total_ms": tcp + tls + first + transfer,
            "http_status": 200,
            "content_ok": True,
        }

    def _speed(self, load: float, floor_ms: float) -> Values:
        mean, least, most = TEST_EVERY_S
        draw = self._random
        self._until_test_s = min(most, max(least, draw.expovariate(1 / mean)))
        share = min(1.05, max(0.1, draw.gauss(0.93 - 0.4 * load, 0.06)))
        down = self._down_mbps * share
        return {
            "down_mbps": down,
            "up_mbps": self._up_mbps * min(1.05, max(0.1, draw.gauss(0.92 - 0.25 * load, 0.07))),
            "loaded_rtt_ms": floor_ms + self._link.queue_ms * draw.uniform(6, 14),
            "test_bytes": down * 1e6 / 8 * 10,
        }


class Machine:
    """The probe as a machine: power, clock, queue and temperature."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._mains = Mains(random)
        self._up_s = random.uniform(3_600.0, 40 * 86_400.0)
        self._agent_late_s = random.uniform(8.0, 40.0)
        self._boots = random.randint(1, 60)
        self._clock_ms = Wander(random, spread=9.0, memory_s=3 * 3600)
        self._sync_age_s = random.uniform(0.0, 1024.0)
        self._case_c = random.uniform(41.0, 50.0)
        self._heat_c = Wander(random, spread=1.2, memory_s=900)

    def measure(self, at_ms: int, dt_s: float) -> Values:
        self._up_s += dt_s
        self._sync_age_s = (self._sync_age_s + dt_s) % 1024.0
        self._clock_ms.step(dt_s)
        warm = 6.0 * rhythm.daylight(at_ms) + self._heat_c.step(dt_s)
        return {
            "power_mains": True,
            "mains_v": self._mains.step(at_ms, dt_s),
            "ups_pct": min(100.0, 99.2 + self._random.random() * 1.2),
            "os_uptime_s": self._up_s,
            "agent_uptime_s": self._up_s - self._agent_late_s,
            "cpu_temp_c": self._case_c + warm + self._random.gauss(0, 0.25),
        }

    def detail(self, at_ms: int) -> Values:
        """What it reports in some rounds only."""
        day = at_ms // 86_400_000
        return {
            "boot_count": self._boots,
            "backlog_msgs": 0,
            "backlog_oldest_s": 0,
            "dropped_msgs": 0,
            "clock_offset_ms": self._clock_ms.value,
            "clock_sync_age_s": self._sync_age_s,
            "cert_days_left": CERTIFICATE_DAYS - (day + self._boots) % (CERTIFICATE_DAYS - 30),
        }


class Radio:
    """The modem's view of a mobile network or a satellite; nothing on a wire."""

    def __init__(self, random: Random, radio: str) -> None:
        self._radio = radio
        self._rsrp = random.uniform(-101.0, -76.0)
        self._rsrq = random.uniform(-11.5, -7.0)
        self._sinr = random.uniform(7.0, 21.0)
        self._esno = random.uniform(9.5, 14.0)
        self._fading = Wander(random, spread=2.0, memory_s=600)
        self._random = random

    def measure(self, dt_s: float) -> Values:
        fading = max(-6.0, min(6.0, self._fading.step(dt_s)))
        if self._radio == "lte":
            return {
                "rsrp_dbm": self._rsrp + fading + self._random.gauss(0, 0.8),
                "rsrq_db": self._rsrq + fading / 4 + self._random.gauss(0, 0.3),
                "sinr_db": max(0.5, self._sinr + fading / 2 + self._random.gauss(0, 0.7)),
            }
        if self._radio == "vsat":
            return {"esno_db": self._esno + fading / 5 + self._random.gauss(0, 0.15)}
        return {}


def _paths(random: Random, link: LinkType, site: Site) -> dict[str, Path]:
    near = random.lognormvariate(0.0, 0.12)
    cable_ms = _km_to_capital(site) * ROAD_DETOUR / KM_PER_MS if link.radio != "vsat" else 0.0
    floors = {
        "isp": link.isp_ms * near,
        "nat": link.nat_ms * near + cable_ms,
        "int": link.int_ms * near + cable_ms,
    }
    if link is LINKS["vsat-geo"]:
        floors = {tier: max(ms, GEO_FLOOR_MS + 20.0) for tier, ms in floors.items()}
    lan = Path(random, LAN, floor_ms=LAN.isp_ms * random.uniform(0.6, 2.4), busy=LAN.busy)
    return {"gw": lan} | {
        tier: Path(random, link, floor_ms=ms, busy=link.busy) for tier, ms in floors.items()
    }


def _km_to_capital(site: Site) -> float:
    home = PROVINCES[site.province]
    capital = PROVINCES[CAPITAL]
    lat = home.lat if site.lat is None else site.lat
    lon = home.lon if site.lon is None else site.lon
    east = (lon - capital.lon) * math.cos(math.radians(lat))
    return KM_PER_DEGREE * math.hypot(lat - capital.lat, east)
