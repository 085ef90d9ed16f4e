"""Databases or buckets for raw readings and each level of roll-ups, with how long they are kept."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode

from storage.influx import questions
from storage.influx.server import InfluxError, Server
from storage.series.levels import DAY_MS, FIVE_MINUTES_MS, HOUR_MS, LEVELS_MS, RAW
from storage.series.retention import Retention

FOR_EVER = 0
DAY_S = 86_400
OLDEST = (1, 5)  # the first of which we know that it answers bind parameters and time offsets

# https://docs.influxdata.com/influxdb/cloud/query-data/influxql/dbrp/
UNMAPPED = (
    ". It does not know that database {name} is the bucket of that name: make the mapping with"
    " `influx v1 dbrp create --db {name} --rp autogen --default --bucket-id ID`, and those of the"
    " other buckets of govsense"
)


class Wanted(NamedTuple):
    """A database that there should be. days: FOR_EVER deletes nothing."""

    name: str
    days: int


class UnsupportedError(Exception):
    """This InfluxDB cannot do something that govsense needs; the text says what."""


def wanted(server: Server, retention: Retention) -> list[Wanted]:
    """The databases of raw readings, 5-minute, 1-hour and 1-day roll-ups."""
    days = {
        RAW: retention.raw_days,
        FIVE_MINUTES_MS: retention.five_minute_days,
        HOUR_MS: retention.hour_days,
        DAY_MS: FOR_EVER,
    }
    return [Wanted(server.address.database_of(level), days[level]) for level in days]


def create(server: Server, retention: Retention) -> list[str]:
    """Make what is missing, and set what is there to the retention; returns what was done.

    The token needs the rights of an administrator, which neither ingest nor the API has. Raises
    UnsupportedError and InfluxError.
    """
    version = server.version()
    if version < OLDEST:
        raise UnsupportedError(
            f"InfluxDB {_stated(version)} is too old; {_stated(OLDEST)} or later is needed"
        )
    make = {1: _make_v1, 2: _make_v2, 3: _make_v3}.get(version[0])
    if make is None:
        raise UnsupportedError(f"InfluxDB {_stated(version)} is not known to this govsense")
    return [make(server, one) for one in wanted(server, retention)]


def check_questions(server: Server) -> None:
    """Ask one question of every form. Raises UnsupportedError where InfluxDB cannot answer it."""
    for level_ms, question in questions.samples():
        try:
            server.query(level_ms, question, **questions.sample_values())
        except InfluxError as exc:
            if exc.status in (401, 403) or exc.status == 0:
                raise
            name = server.address.database_of(level_ms)
            advice = UNMAPPED.format(name=name) if "dbrp" in str(exc).lower() else ""
            raise UnsupportedError(
                f"InfluxDB {_stated(server.version())} cannot answer {question}: {exc}{advice}"
            ) from exc


def _make_v1(server: Server, one: Wanted) -> str:
    name = questions.quoted(one.name)
    duration = f"{one.days}d" if one.days else "INF"
    found = server.ask("SHOW DATABASES").get("series", [{}])[0].get("values", [])
    if [one.name] not in found:
        server.ask(f'CREATE DATABASE {name} WITH DURATION {duration} NAME "autogen"')
        return f"database {one.name} made, kept {_kept(one)}"
    server.ask(f'ALTER RETENTION POLICY "autogen" ON {name} DURATION {duration}')
    return f"database {one.name} was there, now kept {_kept(one)}"


def _make_v2(server: Server, one: Wanted) -> str:
    """https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostBuckets"""
    rules = [{"type": "expire", "everySeconds": one.days * DAY_S}] if one.days else []
    organisation = organisation_id(server)
    known = bucket_ids(server, organisation).get(one.name)
    body = {"orgID": organisation, "name": one.name, "retentionRules": rules}
    if known is not None:
        put(server, "PATCH", f"/api/v2/buckets/{known}", body)
        return f"bucket {one.name} was there, now kept {_kept(one)}"
    put(server, "POST", "/api/v2/buckets", body)
    return f"bucket {one.name} made, kept {_kept(one)}"


def organisation_id(server: Server) -> str:
    """The id of the address's organisation in 2.x. Raises UnsupportedError."""
    asked = server.request("GET", f"/api/v2/orgs?{urlencode({'org': server.address.org})}")
    if asked.status_code == 401:
        raise InfluxError("unauthorized: init needs an all-access token", 401)
    found = asked.json().get("orgs", []) if asked.status_code == 200 else []
    if len(found) != 1:
        raise UnsupportedError(f"there is no organisation {server.address.org!r} at this InfluxDB")
    return str(found[0]["id"])


def bucket_ids(server: Server, organisation: str) -> dict[str, str]:
    """The ids of our buckets in 2.x, by name."""
    ours = {server.address.database_of(level_ms) for level_ms in (RAW, *LEVELS_MS)}
    ids = {}
    for name in sorted(ours):
        asked = f"/api/v2/buckets?{urlencode({'orgID': organisation, 'name': name})}"
        response = server.request("GET", asked)
        if response.status_code == 200:
            found = response.json().get("buckets", [])
            ids.update({bucket["name"]: bucket["id"] for bucket in found if bucket["name"] == name})
    return ids


def put(server: Server, method: str, path: str, body: object = None) -> dict[str, Any]:
    """The JSON object that a request of API 2 answers. Raises InfluxError."""
    response = server.request(method, path, body)
    if response.status_code >= 300:
        raise InfluxError(f"{method} {path}: {response.text.strip()}", response.status_code)
    return dict(response.json()) if response.content else {}


def _make_v3(server: Server, one: Wanted) -> str:
    """https://docs.influxdata.com/influxdb3/core/admin/databases/create/"""
    body: dict[str, object] = {"db": one.name}
    if one.days:
        body["retention_period"] = f"{one.days}d"
    response = server.request("POST", "/api/v3/configure/database", body)
    if response.status_code == 409:
        return f"database {one.name} was there; InfluxDB 3 keeps its retention as it was"
    if response.status_code >= 300:
        raise InfluxError(response.text.strip(), response.status_code)
    return f"database {one.name} made, kept {_kept(one)}"


def _kept(one: Wanted) -> str:
    return f"{one.days} days" if one.days else "for ever"


def _stated(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
