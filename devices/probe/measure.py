"""One round of everything that a probe is configured to measure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from devices.kinds import KINDS, Metric
from devices.probe.config import ProbeConfig
from devices.probe.measure_dns import DnsAnswer, measure_dns
from devices.probe.measure_http import measure_http
from devices.probe.measure_rtt import Echoes, measure_rtt
from devices.probe.measure_self import measure_self

KIND = "connectivity-probe"
METRICS = KINDS[KIND].metrics


class Measured(NamedTuple):
    """values: by metric, in its unit and resolution; what was not measured is absent.

    attributes: how each tier was measured, such as gw_by icmp.
    """

    values: dict[str, float]
    attributes: dict[str, str]


def measure(config: ProbeConfig) -> Measured:
    """Measure a round: all targets at the same time, so that a dark one delays no other."""
    values: dict[str, float | None] = dict(measure_self())
    attributes: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=6) as pool:
        tiers: dict[str, Future[Echoes]] = {
            tier: pool.submit(
                measure_rtt, target, packets=config.packets, timeout_s=config.timeout_s
            )
            for tier, target in config.targets.items()
        }
        page = names = None
        if config.http_url:
            page = pool.submit(
                measure_http, config.http_url, config.http_expect, timeout_s=config.timeout_s
            )
        if config.dns_zone:
            names = pool.submit(_names, config)
        for tier, echoes in tiers.items():
            values |= echoes.result().values(tier)
            attributes[f"{tier}_by"] = echoes.result().method
        values |= page.result() if page else {}
        values |= names.result().values() if names else {}
    return Measured(as_reported(values), attributes)


def _names(config: ProbeConfig) -> DnsAnswer:
    return measure_dns(config.dns_server, config.dns_zone, timeout_s=config.timeout_s)


def as_reported(values: Mapping[str, float | None]) -> dict[str, float]:
    """The values in steps of each metric's resolution, without those that were not measured."""
    return {
        name: _in_steps(METRICS[name], value) for name, value in values.items() if value is not None
    }


def _in_steps(metric: Metric, value: float) -> float:
    if metric.is_bool:
        return bool(value)
    if metric.resolution == 1:
        return round(value)
    return round(value, max(0, math.ceil(-math.log10(metric.resolution))))
