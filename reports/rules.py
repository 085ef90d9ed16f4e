"""What reports are judged by: the settings, as the core takes them."""

from __future__ import annotations

from dataclasses import dataclass, field

from reports.calendars import WorkingHours


@dataclass(frozen=True)
class Target:
    """What a link must reach to count as broadband: medians over the tests of a period."""

    down_mbps: float = 50.0
    up_mbps: float = 25.0
    rtt_ms: float = 100.0


@dataclass(frozen=True)
class Rules:
    """settling_ms: after the end of a period, for late data to come; then a report is final.

    floor_pct: of the contracted speed, which a test must reach. least_tests: fewer say nothing.
    kept_days: of bins; a report of earlier ones stays as it was issued.
    """

    working_hours: WorkingHours
    settling_ms: int = 48 * 3_600_000
    floor_pct: float = 80.0
    least_tests: int = 10
    kept_days: int = 400
    target: Target = field(default_factory=Target)
