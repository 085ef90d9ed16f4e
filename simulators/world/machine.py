"""The probe as a machine, and the view of its modem."""

from __future__ import annotations

from random import Random

import numpy as np
from numpy.typing import NDArray

from simulators.mishaps import Conditions
from simulators.world import rhythm
from simulators.world.chance import Spells, Walk
from simulators.world.links import Columns
from simulators.world.power import Feeder

CERTIFICATE_DAYS = 90
DAY_MS = 86_400_000


class Machine:
    """Power, clock, queue and temperature."""

    def __init__(self, random: Random, draw: np.random.Generator, feeder: Feeder) -> None:
        self._draw = draw
        self._feeder = feeder
        self._up_s = random.uniform(3_600.0, 40 * 86_400.0)
        self._booted_ms: float | None = None
        self._agent_late_ms = random.uniform(8_000.0, 40_000.0)
        self._boots = random.randint(1, 60)
        self._clock_ms = Walk(draw, spread=9.0, memory_s=3 * 3600)
        self._sync_ms = random.randrange(1_024_000)
        self._case_c = random.uniform(41.0, 50.0)
        self._heat_c = Walk(draw, spread=1.2, memory_s=900)
        self._house_v = random.gauss(0.0, 1.0)
        self._mains_v = Walk(draw, spread=0.6, memory_s=300)
        self._dips = Spells(draw, lasts_s=20)

    def columns(self, at_ms: NDArray[np.int64], dt_s: float, on: Conditions) -> Columns:
        """What it reports in every round."""
        draw, count = self._draw, len(at_ms)
        if self._booted_ms is None:
            self._booted_ms = float(at_ms[0]) - self._up_s * 1000
        booted_ms = np.where(np.isnan(on.booted_ms), self._booted_ms, on.booted_ms)
        agent_ms = np.where(np.isnan(on.agent_ms), booted_ms + self._agent_late_ms, on.agent_ms)
        up_s = (at_ms - booted_ms) / 1000
        agent_s = np.clip((at_ms - agent_ms) / 1000, 0.0, up_s)
        warm = 6.0 * rhythm.daylights(at_ms) + self._heat_c.steps(count, dt_s)
        full = np.minimum(100.0, 99.2 + draw.random(count) * 1.2)
        return {
            "power_mains": np.where(on.battery, 0.0, 1.0),
            "mains_v": np.where(on.battery, 0.0, self._volts(at_ms, dt_s)),
            "ups_pct": np.where(on.battery, on.ups_pct, full),
            "os_uptime_s": np.floor(up_s),
            "agent_uptime_s": np.floor(agent_s),
            "cpu_temp_c": self._case_c + warm + draw.normal(0, 0.25, count),
        }

    def _volts(self, at_ms: NDArray[np.int64], dt_s: float) -> NDArray[np.float64]:
        draw, count = self._draw, len(at_ms)
        feeder_v = np.array([self._feeder.volts(time_ms) for time_ms in at_ms.tolist()])
        dips = self._dips.steps(at_ms / 1000, dt_s, np.full(count, 1 / 9000))
        dip = np.where(dips, draw.uniform(3, 9, count), 0.0)
        volts = feeder_v + self._house_v - dip + self._mains_v.steps(count, dt_s)
        return np.clip(volts + draw.normal(0, 0.35, count), 208.0 + draw.random(count), 249.0)

    def detail(self, at_ms: NDArray[np.int64], on: Conditions) -> Columns:
        """What it reports in some rounds only."""
        count = len(at_ms)
        days = CERTIFICATE_DAYS - (at_ms // DAY_MS + self._boots) % (CERTIFICATE_DAYS - 30)
        none = np.zeros(count)
        offset_ms = self._clock_ms.steps(count, 600.0)
        sync_s = (at_ms + self._sync_ms) // 1000 % 1024
        unsynced = np.abs(on.clock_ms) > 0
        return {
            "boot_count": self._boots + on.boots,
            "backlog_msgs": none,
            "backlog_oldest_s": none,
            "dropped_msgs": none,
            "clock_offset_ms": np.where(unsynced, np.nan, offset_ms),
            "clock_sync_age_s": np.where(unsynced, 86_400.0 + at_ms // 1000 % 86_400, sync_s),
            "cert_days_left": np.where(np.isnan(on.cert_days), days, on.cert_days),
        }


class Radio:
    """The modem's view of a mobile network or a satellite; nothing on a wire."""

    def __init__(self, draw: np.random.Generator, radio: str) -> None:
        self._radio = radio
        self._draw = draw
        self._rsrp = float(draw.uniform(-101.0, -76.0))
        self._rsrq = float(draw.uniform(-11.5, -7.0))
        self._sinr = float(draw.uniform(7.0, 21.0))
        self._esno = float(draw.uniform(9.5, 14.0))
        self._fading = Walk(draw, spread=1.6, memory_s=600)

    def columns(self, count: int, dt_s: float, on: Conditions) -> Columns:
        """What it reports in every round."""
        if not self._radio:
            return {}
        draw = self._draw
        fading = np.clip(self._fading.steps(count, dt_s), -6.0, 6.0)
        if self._radio == "vsat":
            esno = self._esno + fading / 5 + draw.normal(0, 0.15, count) - on.esno_db
            return {"esno_db": np.maximum(-4.9, esno)}
        rsrp = self._rsrp + fading + draw.normal(0, 0.8, count) - on.rsrp_db
        rsrq = self._rsrq + fading / 4 + draw.normal(0, 0.3, count) - on.rsrq_db
        sinr = np.maximum(0.5, self._sinr + fading / 2 + draw.normal(0, 0.7, count))
        return {
            "rsrp_dbm": np.clip(rsrp, -139.0, -45.0),
            "rsrq_db": np.clip(rsrq, -42.0, -3.5),
            "sinr_db": np.maximum(-19.0, sinr - on.sinr_db),
        }
