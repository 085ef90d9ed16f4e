"""What somebody sees of the ledger who is limited to provinces or agencies: that, and no more."""

from __future__ import annotations

import pytest
from sqlalchemy import Table, delete, func, insert, select, text, update

from detection.incidents.changes import IncidentChange, Scope
from devices.wire.message import Refusal
from devices.wire.reasons import UNKNOWN_DEVICE
from storage.ledger import incidents, inventory, windows
from storage.ledger.actions import Deed, Subject, actions_on
from storage.ledger.alerts import AlertFilter, get_alert, list_alerts
from storage.ledger.enrolment import list_newcomers, refuse
from storage.ledger.events import Event, add_events
from storage.ledger.facts import DeviceSeen, Facts, Quarantined, commit
from storage.ledger.handling import acknowledge
from storage.ledger.migrations import Ledger
from storage.ledger.quarantine import QuarantineFilter, list_quarantine
from storage.ledger.registry import add_registry
from storage.ledger.schema import alerts, devices, metadata, sites
from storage.ledger.sight import OutOfSightError, Sight
from tests.api.world import NOW_MS, change
from tests.storage.country import registered

OWN = Sight(provinces=frozenset({"LA-LP"}))
COUNTRY_WIDE = {
    "totals", "progress", "snapshots", "process_stats", "events", "api_keys", "audit", "reports",
}  # fmt: skip
BY_SITE = {table.name for table in metadata.sorted_tables} - COUNTRY_WIDE


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Site s1 in Luang Prabang, s2 in Vientiane, each with a probe, an alert and an incident."""
    country = [("s1", "LA-LP", "luangprabang"), ("s2", "LA-VT", "chanthabuly")]
    add_registry(ledger, registered(country))
    parts = {"i1": ("s1",), "i2": ("s2",), "i12": ("s1", "s2")}
    facts = Facts(
        position=1,
        alert_changes=[
            change(1, device="probe-s1", site="s1"),
            change(2, device="probe-s2", site="s2"),
            change(3, device="@platform", site=""),
        ],
        device_seen=[DeviceSeen("probe-s1", NOW_MS, {}, None)],
        incident_changes=[_incident(name, sites) for name, sites in parts.items()],
    )
    commit(ledger, facts, now_ms=NOW_MS)
    return ledger


def _incident(name: str, sites: tuple[str, ...]) -> IncidentChange:
    return IncidentChange(
        at_ms=NOW_MS, incident=name, state="open", scope=Scope("province", "LA-LP"),
        cause="unknown", phase="provisional", confidence=0.5, started_ms=NOW_MS, ended_ms=None,
        sites=sites, devices=(), evidence=(), evidence_lo=(),
    )  # fmt: skip


def test_all_see_all_who_are_not_limited(filled: Ledger) -> None:
    """Nothing is put between them and the ledger."""
    assert filled.seen_by(Sight()) is filled


@pytest.mark.parametrize(
    ("sight", "seen"),
    [
        (OWN, ["s1"]),
        (Sight(provinces=frozenset({"LA-LP", "LA-VT"})), ["s1", "s2"]),
        (Sight(agencies=frozenset({"MPTC"})), ["s1", "s2"]),
        (Sight(agencies=frozenset({"Health' OR 1=1 --"})), []),
        (Sight(frozenset({"LA-VT"}), frozenset({"MPTC"})), ["s2"]),
        (Sight(frozenset({"LA-VT"}), frozenset({"Health"})), []),
        (Sight(provinces=frozenset()), []),
    ],
)
def test_lists_hold_what_is_in_sight(filled: Ledger, sight: Sight, seen: list[str]) -> None:
    """Province and agency both limit; an empty limit leaves nothing."""
    ledger = filled.seen_by(sight)
    rows = inventory.list_sites(ledger, inventory.SiteFilter(), limit=10)
    assert [row.site for row in rows] == seen
    assert [row.site for row in rows if sight.sees(row.province, row.agency)] == seen
    found = inventory.list_devices(ledger, inventory.DeviceFilter(), now_ms=NOW_MS, limit=10)
    assert sorted({row.site for row in found}) == seen
    assert sorted(row.site for row in list_alerts(ledger, AlertFilter(), limit=10)) == seen


def test_what_was_never_heard_stays_in_the_list(filled: Ledger) -> None:
    """A limit on states does not take away the devices that have none."""
    found = inventory.list_devices(
        filled.seen_by(OWN), inventory.DeviceFilter(), now_ms=NOW_MS, limit=10
    )
    assert {row.device: row.lifecycle for row in found} == {
        "probe-s1": "active",
        "tank-s1": "registered",
    }


def test_incidents_are_seen_with_a_part_in_them(filled: Ledger) -> None:
    """One of several sites is enough; so it is for what an incident went through."""
    ledger = filled.seen_by(OWN)
    rows = incidents.list_incidents(ledger, incidents.IncidentFilter(), limit=10)
    assert {row.incident for row in rows} == {"i1", "i12"}
    assert incidents.get_incident(ledger, "i2") is None
    assert incidents.changes_of(ledger, "i2") == []
    assert len(incidents.changes_of(ledger, "i12")) == 1


def test_aliases_and_subqueries_are_limited_too(filled: Ledger) -> None:
    """Wherever a statement names a table, it means what is in sight of it."""
    one, other = sites.alias("one"), sites.alias("other")
    inner = select(sites.c.site, func.count().label("n")).group_by(sites.c.site).subquery()
    with filled.seen_by(OWN).read() as connection:
        pairs = select(one.c.site, other.c.site).join_from(one, other, one.c.site != other.c.site)
        assert connection.execute(pairs).all() == []
        assert connection.execute(select(inner.c.site)).scalars().all() == ["s1"]
        named = select(sites.c.site).cte("mine")
        assert connection.execute(select(named.c.site)).scalars().all() == ["s1"]
        both = select(sites.c.site).union_all(select(devices.c.site))
        assert set(connection.execute(both).scalars()) == {"s1"}
        scalar = select(select(func.count()).select_from(alerts).scalar_subquery())
        assert connection.execute(scalar).scalar() == 1


def test_writes_reach_what_is_in_sight(filled: Ledger) -> None:
    """What is not to be seen is not there to be changed either."""
    ledger = filled.seen_by(OWN)
    deed = Deed("key-1", "S", NOW_MS)
    acknowledge(ledger, "a001", deed, by="S", comment="seen")
    own = get_alert(filled, "a001")
    assert own is not None
    assert (own.state, own.acknowledged_by, own.revision) == ("acknowledged", "S", 1)
    with pytest.raises(KeyError):
        acknowledge(ledger, "a002", deed, by="S", comment="seen")
    with ledger.begin() as connection:
        assert connection.execute(update(alerts).values(comment="x")).rowcount == 1
        assert connection.execute(delete(sites)).rowcount == 1
        add_events(connection, [Event(NOW_MS, "alert", {})])
    assert inventory.get_site(filled, "s2") is not None


PLACES = {  # windows: the province and agency in which each lies as a whole
    "in s1": ("LA-LP", "MPTC"),
    "in s2": ("LA-VT", "MPTC"),
    "of LA-LP": ("LA-LP", None),
    "of Health": (None, "Health"),
    "of all": (None, None),
}


@pytest.mark.parametrize(
    ("sight", "seen"),
    [
        (OWN, {"in s1", "of LA-LP", "of Health", "of all"}),
        (Sight(agencies=frozenset({"Health"})), {"of LA-LP", "of Health", "of all"}),
        (Sight(frozenset({"LA-VT"}), frozenset({"MPTC"})), {"in s2", "of all"}),
    ],
)
def test_windows_are_seen_that_lie_in_no_other_part(
    ledger: Ledger, sight: Sight, seen: set[str]
) -> None:
    """They may keep alerts in sight from being told; so with what was done to them."""
    deed = Deed("key-1", "S", NOW_MS)
    names = {}
    for reason, place in PLACES.items():
        plan = windows.Plan("silence", "site", "s", None, NOW_MS + 1000, reason)
        names[windows.propose(ledger, plan, windows.Terms(*place, NOW_MS, False, False), deed)
              .window] = reason  # fmt: skip
    limited = ledger.seen_by(sight)
    rows = windows.list_windows(limited, windows.WindowFilter(NOW_MS), limit=10)
    assert {row.reason for row in rows} == seen
    for name, reason in names.items():
        assert len(actions_on(limited, Subject("window", name), limit=10)) == (reason in seen)
        if reason not in seen:
            with pytest.raises(KeyError):
                windows.end(limited, name, deed, text="x", may_rewrite=False)
    kept = windows.list_windows(ledger, windows.WindowFilter(NOW_MS, status="active"), limit=10)
    assert {row.reason for row in kept} == set(PLACES)


def test_strangers_are_seen_by_the_province_of_their_topic(filled: Ledger) -> None:
    """By nobody who is limited to agencies: they have none yet."""
    facts = Facts(
        position=2,
        quarantined=[
            Quarantined(NOW_MS, f"gov/v1/{province}/{device}/telemetry", device, b"x",
                        [Refusal(UNKNOWN_DEVICE, "", "")], True)
            for province, device in (
                ("LA-LP", "new"), ("LA-VT", "other"), ("LA-LP", "probe-s2"), ("LA-LPX", "odd"),
            )
        ],
    )  # fmt: skip
    commit(filled, facts, now_ms=NOW_MS)
    refuse(filled, "new", reason="x", days=1, by="S", now_ms=NOW_MS)
    refuse(filled, "other", reason="x", days=1, by="S", now_ms=NOW_MS)
    limited = filled.seen_by(OWN)
    rows = list_quarantine(limited, QuarantineFilter(), limit=10)
    assert [row.device for row in rows] == ["new"]
    assert [row.device for row in list_newcomers(limited, state="refused", limit=10)] == ["new"]
    of_agency = filled.seen_by(Sight(frozenset({"LA-LP"}), frozenset({"MPTC"})))
    assert list_quarantine(of_agency, QuarantineFilter(), limit=10) == []


def test_rows_are_locked_for_who_sees_a_part(filled: Ledger) -> None:
    """The lock is on the rows of the table: PostgreSQL has none on what shadows it."""
    query = select(alerts.c.alert).with_for_update()
    with filled.seen_by(OWN).begin() as connection:
        assert connection.execute(query).scalars().all() == ["a001"]
        if connection.dialect.name == "postgresql":
            free = select(alerts.c.alert).with_for_update(skip_locked=True)
            with filled.begin() as other:
                assert "a001" not in other.execute(free).scalars().all()


@pytest.mark.parametrize("table", sorted(COUNTRY_WIDE))
def test_what_cannot_be_split_is_refused(filled: Ledger, table: str) -> None:
    """Also inside a subquery, and as text."""
    country_wide = metadata.tables[table]
    column = next(iter(country_wide.c))
    with filled.seen_by(OWN).read() as connection:
        for query in (
            select(country_wide),
            select(sites.c.site).where(sites.c.site.in_(select(column))),
            text(f"SELECT * FROM {table}"),
        ):
            with pytest.raises(OutOfSightError):
                connection.execute(query)


@pytest.mark.parametrize("table", sorted(BY_SITE))
def test_every_other_table_can_be_asked(filled: Ledger, table: str) -> None:
    """A new table has a column that says of which site it is, or is refused."""
    with filled.seen_by(OWN).read() as connection:
        connection.execute(select(metadata.tables[table])).all()


def test_rows_are_not_put_where_nobody_has_thought_of_it(filled: Ledger) -> None:
    """Inserts of who is limited are for tables that are named."""
    with (
        pytest.raises(OutOfSightError),
        filled.seen_by(OWN).begin() as connection,
    ):
        connection.execute(insert(devices).values(device="x", site="s2"))


def test_every_table_is_known_to_this_test() -> None:
    """Who adds a table decides whether it can be split by site."""
    assert metadata.tables.keys() >= COUNTRY_WIDE
    assert all(isinstance(table, Table) for table in metadata.tables.values())
