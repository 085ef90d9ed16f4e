"""What reports are judged by, as the settings say it."""

from __future__ import annotations

from pathlib import Path

from reports.calendars import CalendarError, read_working_hours
from reports.rules import Rules, Target
from runtime.settings import Settings, SettingsError


def rules_from(settings: Settings) -> Rules:
    """Rules with the files that the settings name. Raises SettingsError."""
    chosen = settings.reports
    changes = Path(chosen.calendar_file) if chosen.calendar_file else None
    try:
        return Rules(
            read_working_hours(changes),
            settling_ms=round(chosen.settling_hours * 3_600_000),
            floor_pct=round(chosen.contracted_floor_pct, 6),  # as reports quote it
            least_tests=chosen.least_tests,
            kept_days=settings.storage.bin_days,
            target=Target(chosen.target_down_mbps, chosen.target_up_mbps, chosen.target_rtt_ms),
        )
    except CalendarError as exc:
        raise SettingsError(f"reports.calendar_file: {exc}") from exc
