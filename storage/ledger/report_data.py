"""What reports are made of: sites, days of bins, speed tests; and those that were issued."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, exists, func, select

from detection.outages import BIN_MS
from storage.ledger.bin_days import DAY_MS, day_of, days_in_bins
from storage.ledger.inventory import SiteRow
from storage.ledger.migrations import Ledger
from storage.ledger.schema import bin_days, bins, devices, reports, sites, speed_days, windows
from storage.ledger.transactions import in_transaction
from storage.ledger.upsert import upsert

MOST_NAMED = 500  # sites that a question names; for more it asks for all

TestDay = tuple[str, bytes]  # device, the packed tests of a day


class Within(NamedTuple):
    """Which sites a report is about: those that are all of this; None does not restrict."""

    province: str | None = None
    district: str | None = None
    agency: str | None = None
    provider: str | None = None
    site: str | None = None


class LeftOut(NamedTuple):
    """A bin that a window leaves out of the account."""

    site: str
    start_ms: int
    window: str


class WindowFacts(NamedTuple):
    """What a report tells of a window; columns as of storage.ledger.windows.WindowRow."""

    window: str
    kind: str
    scope_type: str
    scope_id: str
    start_ms: int
    end_ms: int
    state: str
    is_late: bool
    reason: str


class Issued(NamedTuple):
    """A final report as it was issued."""

    key: str
    revision: int
    issued_ms: int
    content_digest: str
    digest: str
    document: str


def sites_within(connection: Connection, within: Within) -> list[SiteRow]:
    """Sites in order of id. provider: that of the first uplink."""
    query = select(sites).order_by(sites.c.site)
    for name, value in within._asdict().items():
        if value is not None and name != "provider":
            query = query.where(sites.c[name] == value)
    rows = [
        SiteRow(
            **{name: row["class" if name == "site_class" else name] for name in SiteRow._fields}
        )
        for row in connection.execute(query).mappings()
    ]
    if within.provider is None:
        return rows
    return [row for row in rows if row.uplinks and row.uplinks[0]["provider"] == within.provider]


def probes(connection: Connection) -> dict[str, tuple[str, int]]:
    """Device to its site and the uplink that it measures."""
    rows = connection.execute(select(devices.c.device, devices.c.site, devices.c.uplink))
    return {device: (site, uplink) for device, site, uplink in rows}


def heard_before(connection: Connection, day_ms: int, *, from_bins: bool = False) -> set[str]:
    """The sites that had a bin on a day before this one."""
    earlier = (
        exists().where(bins.c.site == sites.c.site, bins.c.start_ms < day_ms)
        if from_bins
        else exists().where(bin_days.c.site == sites.c.site, bin_days.c.day_ms < day_ms)
    )
    return set(connection.execute(select(sites.c.site).where(earlier)).scalars())


def days_of(
    connection: Connection, names: Sequence[str], start_ms: int, end_ms: int
) -> dict[tuple[str, int], str]:
    """States by site and local day, of the days that lie in [start_ms, end_ms) or reach into it."""
    query = _of(
        select(bin_days.c.site, bin_days.c.day_ms, bin_days.c.states).where(
            bin_days.c.day_ms >= day_of(start_ms), bin_days.c.day_ms < end_ms
        ),
        bin_days.c.site,
        names,
    )
    return {(site, day_ms): states for site, day_ms, states in connection.execute(query).all()}


def days_in_bins_of(
    connection: Connection, names: Sequence[str], start_ms: int, end_ms: int
) -> dict[tuple[str, int], str]:
    """The same, counted from every single bin."""
    first_ms, last_ms = day_of(start_ms), day_of(end_ms - 1) + DAY_MS
    return {
        (site, day_ms): states
        for site in names
        for day_ms, states in days_in_bins(connection, site, first_ms, last_ms).items()
    }


def left_out(
    connection: Connection, names: Sequence[str], start_ms: int, end_ms: int
) -> list[LeftOut]:
    """The bins of these sites within [start_ms, end_ms) that windows leave out.

    In order of site and time.
    """
    query = _of(
        select(bins.c.site, bins.c.start_ms, bins.c.excluded_by).where(
            bins.c.excluded_by.is_not(None),
            bins.c.state == "EXCLUDED",
            bins.c.start_ms >= start_ms,
            bins.c.start_ms < end_ms,
        ),
        bins.c.site,
        names,
    )
    ours = set(names)
    rows = (LeftOut(*row) for row in connection.execute(query))
    return sorted(row for row in rows if row.site in ours)


def windows_named(connection: Connection, names: Iterable[str]) -> dict[str, WindowFacts]:
    """Windows by id, as they are now; one that there is not is not in it."""
    some = sorted(set(names))
    found = {}
    for first in range(0, len(some), MOST_NAMED):
        columns = [windows.c[name] for name in WindowFacts._fields]
        query = select(*columns).where(windows.c.window.in_(some[first : first + MOST_NAMED]))
        found.update({row[0]: WindowFacts(*row) for row in connection.execute(query)})
    return found


def data_until(connection: Connection) -> int | None:
    """The end of the newest bin of any site, None before the first."""
    newest = connection.execute(select(func.max(bins.c.start_ms))).scalar()
    return None if newest is None else int(newest) + BIN_MS


def kept_since(connection: Connection) -> int | None:
    """The start of the oldest bin that is kept, of any site, None before the first."""
    return connection.execute(select(func.min(bins.c.start_ms))).scalar()


def tests_of(
    connection: Connection, names: Sequence[str], start_ms: int, end_ms: int
) -> list[TestDay]:
    """Speed tests of these devices in the local days of [start_ms, end_ms).

    In order of device and time.
    """
    table = speed_days.c
    query = _of(
        select(table.device, table.day_ms, table.tests).where(
            table.day_ms >= day_of(start_ms), table.day_ms < end_ms
        ),
        table.device,
        names,
    )
    rows = sorted(tuple(row) for row in connection.execute(query).all())
    return [(device, tests) for device, _, tests in rows]


def last_issued(connection: Connection, key: str) -> Issued | None:
    """The newest revision of a report, None before the first."""
    query = select(reports).where(reports.c.key == key).order_by(reports.c.revision.desc())
    row = connection.execute(query.limit(1)).one_or_none()
    return None if row is None else Issued(*row)


def issued(connection: Connection, key: str, revision: int) -> Issued | None:
    """A revision of a report as it was issued, None where there is none."""
    query = select(reports).where(reports.c.key == key, reports.c.revision == revision)
    row = connection.execute(query).one_or_none()
    return None if row is None else Issued(*row)


def revisions(
    ledger: Ledger, key: str, *, after: int = 0, limit: int
) -> list[tuple[int, int, str]]:
    """(revision, issued_ms, digest) of at most `limit` revisions behind `after`, in order."""
    table = reports.c
    query = (
        select(table.revision, table.issued_ms, table.digest)
        .where(table.key == key, table.revision > after)
        .order_by(table.revision)
        .limit(limit)
    )
    with ledger.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


def keep_issued(ledger: Ledger, one: Issued) -> Issued:
    """Keep a revision, unless another process has issued that number: then that one is returned."""

    def put(connection: Connection) -> Issued:
        row = one._asdict()
        upsert(connection, reports, [row], keep=[name for name in row if name not in KEYS])
        table = reports.c
        found = select(reports).where(table.key == one.key, table.revision == one.revision)
        return Issued(*connection.execute(found).one())

    return in_transaction(ledger, put)


KEYS = ("key", "revision")


def _of(query: Select[Any], column: Any, names: Iterable[str]) -> Select[Any]:
    few = list(names)
    return query.where(column.in_(few)) if len(few) <= MOST_NAMED else query
