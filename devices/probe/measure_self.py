"""The probe's own machine: how long it and this agent have run, how warm it is."""

from __future__ import annotations

import time

import psutil

CPU_SENSORS = ("coretemp", "k10temp", "cpu_thermal", "cpu-thermal", "soc_thermal", "acpitz")
AGENT_STARTED_S = time.clock_gettime(time.CLOCK_BOOTTIME)


def measure_self() -> dict[str, float | None]:
    """os_uptime_s and agent_uptime_s by CLOCK_BOOTTIME; cpu_temp_c where there is a sensor."""
    now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return {
        "os_uptime_s": now_s,
        "agent_uptime_s": now_s - AGENT_STARTED_S,
        "cpu_temp_c": _cpu_temperature(),
    }


def _cpu_temperature() -> float | None:
    found = psutil.sensors_temperatures()
    for name in CPU_SENSORS:
        if found.get(name):
            return float(found[name][0].current)
    return None
