"""What of the ledger somebody sees who is limited to provinces or agencies.

This is the one place where that limit is applied. Every statement on a restricted ledger finds, in
place of the tables that it names, only the rows of what is in sight: the names of the tables are
shadowed by common table expressions, so that joins, aliases and subqueries meet the same limit.
What has no rule is not to be had.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    Table,
    and_,
    event,
    exists,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.sql import visitors
from sqlalchemy.sql.dml import Delete, Insert, Update
from sqlalchemy.sql.elements import ClauseElement, TextClause
from sqlalchemy.sql.selectable import CompoundSelect, Select, TableValuedAlias

from devices.topics import PREFIX
from storage.ledger.schema import (
    actions,
    alerts,
    devices,
    enrolments,
    events,
    handling,
    incident_changes,
    incidents,
    meta,
    metadata,
    quarantine,
    sites,
    windows,
)

OF_NOBODY = {meta.name}  # versions
# May be inserted into, by routes that look first at what it is about; other tables only by who
# sees everything.
WRITABLE = {events.name, actions.name, handling.name, windows.name}
HARMLESS = "SELECT pg_advisory_xact_lock("


@dataclass(frozen=True, slots=True)
class Sight:
    """Provinces (ISO codes) and agencies of the sites in sight; None: all."""

    provinces: frozenset[str] | None = None
    agencies: frozenset[str] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether everything is in sight."""
        return self.provinces is None and self.agencies is None

    def sees(self, province: str, agency: str) -> bool:
        """Whether a site of that province and agency is in sight."""
        in_province = self.provinces is None or province in self.provinces
        return in_province and (self.agencies is None or agency in self.agencies)


def sent_in(topic: ColumnElement[str], provinces: Collection[str]) -> ColumnElement[bool]:
    """Whether a message was sent on a topic of one of these provinces (ISO codes)."""
    starts = [f"{PREFIX}/{province}/" for province in sorted(provinces)]
    return or_(false(), *(topic.startswith(start, autoescape=True) for start in starts))


def members(array: ColumnElement[Any], dialect: str) -> TableValuedAlias:
    """The members of a JSON array, a row each, as `value`."""
    split = func.json_each if dialect == "sqlite" else func.json_array_elements_text
    return split(array).table_valued("value", name="part")


class OutOfSightError(Exception):
    """A statement asks for what cannot be split by site. table: its name."""

    def __init__(self, table: str) -> None:
        super().__init__(f"{table} is of the whole country and cannot be split by site")
        self.table = table


def restricted(engine: Engine, sight: Sight) -> Engine:
    """An engine on the same connections whose statements meet only what is in sight."""
    limited = engine.execution_options()
    event.listen(limited, "before_execute", partial(_limit, sight), retval=True)
    return limited


def _limit(
    sight: Sight,
    connection: Connection,
    statement: ClauseElement,
    multiparams: Any,
    params: Any,
    execution_options: Mapping[str, Any],
) -> tuple[ClauseElement, Any, Any]:
    return _limited(sight, connection, statement), multiparams, params


def _limited(sight: Sight, connection: Connection, statement: ClauseElement) -> ClauseElement:
    dialect = connection.dialect
    views = _Views(sight, dialect.name, dialect.default_schema_name or "main")
    if isinstance(statement, TextClause) and statement.text.startswith(HARMLESS):
        return statement
    if isinstance(statement, Insert) and statement.table.name in WRITABLE:
        return statement
    if isinstance(statement, (Select, CompoundSelect)):
        names = {part.name: part for part in visitors.iterate(statement) if isinstance(part, Table)}
        if isinstance(statement, Select) and statement._for_update_arg is not None:
            (table,) = names.values()  # PostgreSQL locks no rows behind a common table expression
            return statement.where(views.condition(table))
        shadows = [views.shadow(table) for _, table in sorted(names.items())]
        return statement.add_cte(*(shadow for shadow in shadows if shadow is not None))
    if isinstance(statement, (Update, Delete)) and isinstance(statement.table, Table):
        return statement.where(views.condition(statement.table))
    raise OutOfSightError(getattr(getattr(statement, "table", None), "name", "this"))


@cache
def _tables(schema: str) -> Mapping[str, Table]:
    """Every table of the ledger under its full name, by its short one."""
    real = MetaData(schema=schema)
    return {table.name: table.to_metadata(real) for table in metadata.sorted_tables}


class _Views:
    """The tables by their full names, which nothing shadows, and what of them is in sight."""

    def __init__(self, sight: Sight, dialect: str, schema: str) -> None:
        self._sight = sight
        self._dialect = dialect
        self._real = _tables(schema)

    def shadow(self, table: Table) -> Any:
        """What takes the table's name; None where everybody sees all of it."""
        if table.name in OF_NOBODY:
            return None
        real = self._real[table.name]
        rows = select(real).where(self.condition(real))
        return rows.cte(table.name).prefix_with("NOT MATERIALIZED")

    def condition(self, table: Table) -> ColumnElement[bool]:
        """Whether a row of a table is in sight. Raises OutOfSightError where there is no rule."""
        own = {
            sites.name: self._of_sites,
            incidents.name: self._of_incidents,
            incident_changes.name: self._of_changes,
            windows.name: self._of_windows,
            handling.name: self._of_subjects,
            actions.name: self._of_subjects,
            quarantine.name: self._of_messages,
            enrolments.name: self._of_enrolments,
        }
        if table.name in own:
            return own[table.name](table)
        if "site" in table.c:
            return table.c.site.in_(self._sites())
        if "device" in table.c:
            return self._of_devices(table)
        raise OutOfSightError(table.name)

    def _seen(self, name: str, column: str) -> Any:
        """A column of what is in sight of a table."""
        real = self._real[name]
        return select(real.c[column]).where(self.condition(real))

    def _sites(self) -> Any:
        return self._seen(sites.name, "site")

    def _of_devices(self, table: Table) -> ColumnElement[bool]:
        return table.c.device.in_(self._seen(devices.name, "device"))

    def _of_changes(self, table: Table) -> ColumnElement[bool]:
        return table.c.incident.in_(self._seen(incidents.name, "incident"))

    def _of_windows(self, table: Table) -> ColumnElement[bool]:
        """Those that lie in what is in sight as a whole, and those that lie in no single part."""
        limits = {"province": self._sight.provinces, "agency": self._sight.agencies}
        return and_(
            true(),
            *(
                or_(table.c[name].is_(None), table.c[name].in_(sorted(allowed)))
                for name, allowed in limits.items()
                if allowed is not None
            ),
        )

    def _of_subjects(self, table: Table) -> ColumnElement[bool]:
        """What was done to alerts, incidents and windows in sight."""
        return or_(
            *(
                and_(table.c.type == name, table.c.subject.in_(self._seen(about.name, name)))
                for name, about in (("alert", alerts), ("incident", incidents), ("window", windows))
            )
        )

    def _of_messages(self, table: Table) -> ColumnElement[bool]:
        """Those of devices in sight; of strangers, those sent on topics of provinces in sight.

        A stranger belongs to no agency yet, so that who is limited to agencies sees none.
        """
        own = self._of_devices(table)
        if self._sight.provinces is None or self._sight.agencies is not None:
            return own
        is_strange = table.c.device.not_in(select(self._real[devices.name].c.device))
        return or_(own, and_(is_strange, sent_in(table.c.topic, self._sight.provinces)))

    def _of_enrolments(self, table: Table) -> ColumnElement[bool]:
        return table.c.device.in_(self._seen(quarantine.name, "device"))

    def _of_sites(self, table: Table) -> ColumnElement[bool]:
        limits = {"province": self._sight.provinces, "agency": self._sight.agencies}
        return and_(
            true(),
            *(
                table.c[name].in_(sorted(allowed)) if allowed else false()
                for name, allowed in limits.items()
                if allowed is not None
            ),
        )

    def _of_incidents(self, table: Table) -> ColumnElement[bool]:
        """Those in which a site in sight has a part."""
        part = members(table.c.sites, self._dialect)
        return exists(select(1).select_from(part).where(part.c.value.in_(self._sites())))
