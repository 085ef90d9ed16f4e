"""Which alarm belongs to which fault: the rules that docs/detection.md states."""

from __future__ import annotations

from collections.abc import Sequence

from simulators.scorecard.alarms import Alarm
from simulators.scorecard.files import Fault, Place

TOLERANCE_MS = 3_600_000  # consequences last: values come back, buffers drain, timers run out
EARLY_INTERVALS = 2  # an onset is an estimate, half an interval to two before the fault
EARLY_MS = 60_000
LATE_INTERVALS = 3
TIER_ROUND_TRIP = "_rtt_"
OF_THE_WAY = ("platform", "last-mile", "backbone", "provider")  # causes between sensor and us


class Faults:
    """The faults of a world, to be asked what explains an alarm."""

    def __init__(self, faults: Sequence[Fault], devices: dict[str, Place]) -> None:
        self._places = devices
        self._of_device: dict[str, list[Fault]] = {}
        self._of_site: dict[str, list[Fault]] = {}
        self._at_site: dict[str, list[Fault]] = {}
        for fault in faults:
            for device in fault.devices:
                self._of_device.setdefault(device, []).append(fault)
                if device in devices:
                    self._at_site.setdefault(devices[device].site, []).append(fault)
            if fault.scope.type != "device":
                for site in fault.sites:
                    self._of_site.setdefault(site, []).append(fault)

    def interval_ms(self, fault: Fault) -> int:
        """The shortest reporting interval of its devices; a minute where it names none."""
        known = [self._places[d].interval_ms for d in fault.devices if d in self._places]
        return min(known, default=60_000)

    def behind(self, alarm: Alarm) -> list[Fault]:
        """The faults that hit what the alarm names and whose time it shares, each once.

        An alarm on a device is of the faults that hit that device, not of others at its site;
        a fault that names no devices hits all of its sites'.
        """
        near: dict[str, Fault] = {}
        for device in alarm.devices:
            near.update((f.fault, f) for f in self._of_device.get(device, ()))
        for site in alarm.sites:
            of_site = self._of_site.get(site, ())
            near.update((f.fault, f) for f in of_site if not (alarm.devices and f.devices))
            if not alarm.devices:  # a statement on a site speaks of its devices
                near.update((f.fault, f) for f in self._at_site.get(site, ()))
        return [fault for fault in near.values() if self._shares_time(fault, alarm)]

    def _shares_time(self, fault: Fault, alarm: Alarm) -> bool:
        interval_ms = self.interval_ms(fault)
        latest = fault.end + max(TOLERANCE_MS, LATE_INTERVALS * interval_ms)
        earliest = fault.start - EARLY_INTERVALS * interval_ms - EARLY_MS
        began = earliest <= alarm.began_ms <= latest
        if alarm.backfilled:
            return began
        return began or fault.start <= alarm.at_ms <= latest


def speaks_of(alarm: Alarm, fault: Fault) -> bool:
    """Whether an alarm that shares scope and time is about what the fault does.

    A sensor fault on one metric is found by an alarm on that metric, or on the device as a whole.
    Conditions and connectivity show in several metrics; but what only keeps rounds from arriving
    moves nothing that a sensor measures.
    """
    if fault.cause in OF_THE_WAY and alarm.metric and alarm.nature != "connectivity":
        return False
    if fault.metric is None or not alarm.metric or fault.nature != "data_quality":
        return True
    return family(alarm.metric) == family(fault.metric)


def family(metric: str) -> str:
    """The metrics that cannot move alone have one name: a tier's round trips, its loss, dust."""
    if TIER_ROUND_TRIP in metric:
        return metric.partition(TIER_ROUND_TRIP)[0] + "_rtt"
    for part in ("_sent", "_rcvd", "_dup", "_loss_pct"):
        if metric.endswith(part):
            return metric.removesuffix(part) + "_loss"
    return "pm" if metric.startswith(("pm2_5", "pm10")) else metric
