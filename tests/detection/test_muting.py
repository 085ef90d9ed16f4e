"""Who is told of a change of an alert, and why not."""

from __future__ import annotations

import pytest

from detection.alerts import AlertBook, AlertChange
from detection.findings import PLATFORM
from detection.muting import COUNTRY, Reach, Reason, Window, may_notify, scopes_of
from tests.detection.test_alerts import finding, site_of
from tests.path.platform import one_office

KEY = ("p0", "temperature_c", "limits")
OFFICE = one_office()
SCOPES = scopes_of(OFFICE.devices["p0"], OFFICE.sites["office"])
NOON = 1_790_000_000_000


def fired() -> AlertChange:
    """An alert of p0 that fires."""
    [change] = AlertBook().apply([finding(KEY, "firing", NOON, NOON)], NOON, site_of)
    return change


def window(kind: str, scope: Reach) -> Window:
    """From noon for a minute."""
    return Window("w1", kind, scope, NOON, NOON + 60_000, "S. Vong", "new router")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "inside"),
    [
        (Reach("device", "p0"), True),
        (Reach("device", "p1"), False),
        (Reach("site", "office"), True),
        (Reach("district", "LA-LP/luangprabang"), True),
        (Reach("province", "LA-LP"), True),
        (Reach("province", "LA-VT"), False),
        (Reach("provider", "LTC"), True),
        (Reach("feeder", ""), False),
        (COUNTRY, True),
    ],
)
def test_a_window_mutes_what_lies_in_its_scope(scope: Reach, inside: bool) -> None:
    """Whichever way its scope holds the device."""
    said = may_notify(fired(), [window("maintenance", scope)], NOON, scopes=SCOPES)
    assert said == ("maintenance" if inside else "part-of-incident")


def test_a_window_holds_from_its_start_to_before_its_end() -> None:
    """The first millisecond is in it, the one at its end is not."""
    windows = [window("silence", Reach("device", "p0"))]
    times = (NOON - 1, NOON, NOON + 59_999, NOON + 60_000)
    said = [may_notify(fired(), windows, now, scopes=SCOPES) for now in times]
    assert said == ["part-of-incident", "silenced", "silenced", "part-of-incident"]


@pytest.mark.parametrize("scope", [COUNTRY, Reach("rule", "limits")])
def test_no_window_is_about_what_govsense_says_of_itself(scope: Reach) -> None:
    """Neither one of the whole country nor one of its rule."""
    said = may_notify(
        fired()._replace(device=PLATFORM), [window("silence", scope)], NOON, scopes={COUNTRY}
    )
    assert said == "part-of-incident"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (fired(), "part-of-incident"),
        (fired()._replace(state="resolved"), "part-of-incident"),
        (fired()._replace(severity="info"), None),
        (fired()._replace(severity="info", state="resolved"), None),
        (fired()._replace(state="pending"), "not-public"),
        (fired()._replace(state="dropped"), "not-public"),
        (fired()._replace(backfilled=True), "backfilled"),
        (fired()._replace(backfilled=True, state="resolved"), "backfilled"),
    ],
)
def test_the_reason_is_named(change: AlertChange, said: Reason | None) -> None:
    """What never fired, what is of the past, and what an incident tells of, at once or soon."""
    assert may_notify(change, [], NOON, scopes=SCOPES) == said
