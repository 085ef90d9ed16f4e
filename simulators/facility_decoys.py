"""What happens at facilities and is no fault: things that must not raise an alarm."""

from __future__ import annotations

from devices.registry import Registry
from simulators.facility import Event
from simulators.facility_faults import FRIDGE, LEVEL, METER, ROOM, SENSED, STREET
from simulators.facility_schedule import HOUR_MS, Busy, schedule
from simulators.facility_sorts import HOUR_S, MINUTE_S, Part, Sort, is_tank, just, sized
from simulators.faults import Cause

HARMLESS = Cause("decoy", "none")
APART_MS = 2 * HOUR_MS
WEEKLY = 1 / 7

# Pump cycles, rain, holidays, moist air and the evening's sag are in the world without them.
DECOYS: tuple[Sort, ...] = (
    Sort("restocking", FRIDGE, "temperature_c", HARMLESS, (3 * MINUTE_S, 9 * MINUTE_S),
         sized("restock", 3.5, 6.0), per_day=0.3, when="office-hours"),
    Sort("meeting", ROOM, "co2_ppm", HARMLESS, (0.7 * HOUR_S, 2 * HOUR_S),
         sized("crowded", 1.3, 1.7), per_day=0.2, when="office-hours"),
    Sort("smoke", STREET, "pm2_5_ugm3", HARMLESS, (6 * HOUR_S, 36 * HOUR_S),
         sized("smoke", 0.5, 1.1), per_day=0.15, together="district"),
    Sort("tank-cleaning", LEVEL, "level_m", HARMLESS, (2 * HOUR_S, 4 * HOUR_S),
         just(Part("cleaning")), per_day=WEEKLY, fits=is_tank, when="wednesday-morning"),
    Sort("generator-test", METER, "frequency_hz", HARMLESS, (15 * MINUTE_S, 30 * MINUTE_S),
         sized("genset", 0.02, 0.12), per_day=WEEKLY, when="wednesday-morning"),
    Sort("voltage-dip", METER, "mains_v", HARMLESS, (0, 0), sized("sag", 15.0, 45.0),
         per_day=0.1),
    *(Sort("lost-reading", (sensed.kind,), sensed.metric, HARMLESS, (0, 0),
           just(Part("gap", 1.0, "flat", sensed.metric)), per_day=0.1) for sensed in SENSED),
)  # fmt: skip


def facility_decoys(
    registry: Registry,
    seed: int,
    start_ms: int,
    end_ms: int,
    rates: float = 1.0,
    *,
    busy: Busy = (),
) -> list[Event]:
    """Harmless events of a registry's facilities in a run, in order of start.

    Arguments as of facility_faults. A function of its arguments.
    """
    decoys = schedule(DECOYS, registry, seed, (start_ms, end_ms), rates, busy, apart_ms=APART_MS)
    return sorted(decoys, key=lambda event: (event.start_ms, event.fault))
