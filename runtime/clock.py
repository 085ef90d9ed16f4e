"""Platform time: the real clock, or one that runs faster, the same in every process."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from runtime.settings import ClockSettings, SettingsError


class Clock:
    """Milliseconds of platform time: start_ms + (machine time - origin_ms) × speed."""

    def __init__(self, *, start_ms: int, speed: float, origin_ms: int) -> None:
        self.start_ms = start_ms
        self.speed = speed
        self.origin_ms = origin_ms

    def now_ms(self) -> int:
        """Platform time now, integer milliseconds since 1970 UTC."""
        machine_ms = time.time_ns() // 1_000_000
        return round(self.start_ms + (machine_ms - self.origin_ms) * self.speed)

    def sleep(self, platform_s: float) -> None:
        """Wait for a span of platform time, in seconds."""
        time.sleep(platform_s / self.speed)

    def environment(self) -> dict[str, str]:
        """The environment that gives another process this same clock; the real one needs none."""
        if self.speed == 1.0 and self.start_ms == self.origin_ms:
            return {}
        start = datetime.fromtimestamp(self.start_ms / 1000, UTC).isoformat()
        return {
            "GOVSENSE_CLOCK__START": start,
            "GOVSENSE_CLOCK__SPEED": repr(self.speed),
            "GOVSENSE_CLOCK__ORIGIN_MS": str(self.origin_ms),
        }


def clock_from(settings: ClockSettings) -> Clock:
    """The clock that the settings describe. Raises SettingsError for a start that is no time."""
    origin_ms = settings.origin_ms or time.time_ns() // 1_000_000
    if not settings.start:
        return Clock(start_ms=origin_ms, speed=settings.speed, origin_ms=origin_ms)
    try:
        start = datetime.fromisoformat(settings.start)
    except ValueError as exc:
        raise SettingsError(
            f"clock.start is {settings.start!r}; it must be like 2026-10-05T00:00:00Z"
        ) from exc
    if start.tzinfo is None:
        raise SettingsError(f"clock.start is {settings.start!r}; it needs Z or an offset")
    return Clock(
        start_ms=round(start.timestamp() * 1000), speed=settings.speed, origin_ms=origin_ms
    )
