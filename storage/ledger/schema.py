"""The ledger's tables: everything the platform knows except the readings themselves.

Times are integer milliseconds since 1970 UTC. The same tables live in SQLite and PostgreSQL.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    false,
    text,
)

metadata = MetaData()

# SQLite numbers rows by itself only under the exact type INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")

meta = Table(  # schema_version, registry_version
    "meta",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

sites = Table(
    "sites",
    metadata,
    Column("site", String, primary_key=True),
    Column("name_en", String, nullable=False),
    Column("name_lo", String, nullable=False),
    Column("class", String, nullable=False),
    Column("province", String, nullable=False, index=True),
    Column("district", String, nullable=False),
    Column("lat", Float),
    Column("lon", Float),
    Column("agency", String, nullable=False),
    Column("feeder", String, nullable=False),
    Column("priority", String, nullable=False),
    Column("uplinks", JSON, nullable=False),  # [{provider, link_type, contracted_*_mbps}, ...]
)

devices = Table(
    "devices",
    metadata,
    Column("device", String, primary_key=True),
    Column("site", String, nullable=False, index=True),
    Column("kind", String, nullable=False),
    Column("interval_s", Float, nullable=False),
    Column("uplink", Integer, nullable=False),
    Column("params", JSON, nullable=False),
)

series = Table(
    "series",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("device", String, nullable=False),
    Column("metric", String, nullable=False),
    UniqueConstraint("device", "metric"),
)

device_states = Table(  # one row per registered device that was ever heard
    "device_states",
    metadata,
    Column("device", String, primary_key=True),
    Column("state", String),  # online, offline: the last status message; null before the first
    Column("status", JSON),  # that status message
    Column("first_seen_ms", BigInteger, nullable=False),  # receive time
    Column("last_seen_ms", BigInteger, nullable=False, index=True),  # receive time
    Column("latest", JSON, nullable=False),  # {metric: [at_ms, value]}, newest event time each
)

alerts = Table(
    "alerts",
    metadata,
    Column("alert", String, primary_key=True),
    Column("state", String, nullable=False),  # pending, firing, acknowledged, closed, resolved
    Column("device", String, nullable=False),
    Column("site", String, nullable=False),
    Column("metric", String, nullable=False),  # "" for a rule on the device as a whole
    Column("rule", String, nullable=False),
    Column("nature", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("event_ms", BigInteger, nullable=False),  # when it happened
    Column("at_ms", BigInteger, nullable=False),  # when the platform knew
    Column("resolved_event_ms", BigInteger),
    Column("resolved_at_ms", BigInteger),
    Column("value", Float),
    Column("expected_low", Float),
    Column("expected_high", Float),
    Column("text_en", Text, nullable=False),
    Column("text_lo", Text, nullable=False),
    Column("acknowledged_at_ms", BigInteger),
    Column("acknowledged_by", String),
    Column("comment", Text),
    Column("incident", String),  # version 3: of which it is a part
    Column("backfilled", Boolean, nullable=False, server_default=false()),  # version 3
    Index(
        "one_open_alert",
        "device",
        "metric",
        "rule",
        unique=True,
        sqlite_where=text("state <> 'resolved'"),
        postgresql_where=text("state <> 'resolved'"),
    ),
    Index("alerts_by_time", "at_ms", "alert"),
    Index("alerts_by_site", "site", "at_ms", "alert"),  # of operators' work, as all below
    Index("alerts_by_rule", "rule", "at_ms", "alert"),
    Index("alerts_by_state", "state", "at_ms", "alert"),
    Index("alerts_by_severity", "severity", "at_ms", "alert"),
    Index("alerts_by_incident", "incident", "at_ms", "alert"),
)

incidents = Table(  # version 3: each as it is now
    "incidents",
    metadata,
    Column("incident", String, primary_key=True),
    Column("state", String, nullable=False),  # open, updated, resolved
    Column("scope_type", String, nullable=False),
    Column("scope_id", String, nullable=False),
    Column("cause", String, nullable=False),
    Column("phase", String, nullable=False),  # provisional, final
    Column("confidence", Float, nullable=False),
    Column("started_ms", BigInteger, nullable=False),  # event time
    Column("ended_ms", BigInteger),  # event time
    Column("opened_at_ms", BigInteger, nullable=False),  # when the platform first knew
    Column("at_ms", BigInteger, nullable=False),  # of the last change
    Column("sites", JSON, nullable=False),
    Column("devices", JSON, nullable=False),
    Column("evidence", JSON, nullable=False),  # sentences in English
    Column("evidence_lo", JSON, nullable=False),  # the same in Lao
    Index("incidents_by_time", "opened_at_ms", "incident"),
)

incident_changes = Table(  # version 3: what each incident was after each change
    "incident_changes",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("incident", String, nullable=False, index=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("data", JSON, nullable=False),  # the row of `incidents`
)

bins = Table(  # version 3: five minutes of a site, the last revision
    "bins",
    metadata,
    Column("site", String, primary_key=True),
    Column("start_ms", BigInteger, primary_key=True),
    Column("state", String, nullable=False),  # UP, DEGRADED, DOWN, UNKNOWN, EXCLUDED
    Column("on_backup", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("excluded_by", String),  # the window for which it is EXCLUDED
    Index("bins_by_time", "start_ms"),
    Index(  # version 8: the few that windows leave out
        "bins_left_out", "start_ms", "site", "excluded_by",
        sqlite_where=text("excluded_by IS NOT NULL"),
        postgresql_where=text("excluded_by IS NOT NULL"),
    ),
)  # fmt: skip

incident_sites = Table(  # version 5: by which sites incidents are found
    "incident_sites",
    metadata,
    Column("site", String, primary_key=True),
    Column("incident", String, primary_key=True),
)

handling = Table(  # version 5: what operators have made of an alert or an incident
    "handling",
    metadata,
    Column("type", String, primary_key=True),  # alert, incident
    Column("subject", String, primary_key=True),  # its id
    Column("revision", Integer, nullable=False),  # how many actions there were
    Column("assigned_to", String),
    Column("closed_at_ms", BigInteger),
    Column("closed_by", String),
    Column("close_reason", String),
    Column("close_text", Text),
)

windows = Table(  # version 5: silences and maintenance, each as it is now
    "windows",
    metadata,
    Column("window", String, primary_key=True),
    Column("kind", String, nullable=False),  # silence, maintenance
    Column("scope_type", String, nullable=False),
    Column("scope_id", String, nullable=False),
    Column("province", String),  # in which it lies as a whole; null: in none
    Column("agency", String),  # whose it is as a whole; null: of none
    Column("start_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("state", String, nullable=False),  # proposed, approved, withdrawn
    Column("is_late", Boolean, nullable=False),  # began before it was announced
    Column("reason", Text, nullable=False),
    Column("author_id", String, nullable=False),
    Column("author", String, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("approved_by", String),
    Column("approved_at_ms", BigInteger),
    Column("ended_by", String),
    Column("ended_at_ms", BigInteger),
    Column("revision", Integer, nullable=False),
    Index("windows_by_time", "start_ms", "window"),
    Index("windows_by_end", "end_ms"),
)

actions = Table(  # version 5: what people did, appended only
    "actions",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("type", String, nullable=False),  # alert, incident, window
    Column("subject", String, nullable=False),  # its id
    Column("action", String, nullable=False),
    Column("author_id", String, nullable=False),
    Column("author", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("data", JSON, nullable=False),
    Column("key", String),  # Idempotency-Key of the request
    Column("digest", String, nullable=False),  # of what was asked
    Index("actions_by_subject", "type", "subject", "id"),
    Index(
        "one_action_a_key",
        "type",
        "subject",
        "author_id",
        "key",
        unique=True,
        sqlite_where=text("key IS NOT NULL"),
        postgresql_where=text("key IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

bin_days = Table(  # version 6: the bins of a site in a local day, a character each: `bins` in short
    "bin_days",
    metadata,
    Column("day_ms", BigInteger, primary_key=True),  # local midnight before them
    Column("site", String, primary_key=True),
    Column("states", String, nullable=False),  # 288 of detection.outages.LETTERS
    Index("bin_days_by_site", "site", "day_ms"),
)

speed_days = Table(  # version 6: the speed tests of a probe in a local day
    "speed_days",
    metadata,
    Column("day_ms", BigInteger, primary_key=True),  # local midnight before them
    Column("device", String, primary_key=True),
    Column("tests", LargeBinary, nullable=False),  # of storage.ledger.speed_tests.PACKED
)

reports = Table(  # version 6: final connectivity reports as they were issued; never changed
    "reports",
    metadata,
    Column("key", String, primary_key=True),  # scope, period and calendar
    Column("revision", Integer, primary_key=True),
    Column("issued_ms", BigInteger, nullable=False),
    Column("content_digest", String, nullable=False),  # of all but status and revision
    Column("digest", String, nullable=False),
    Column("document", Text, nullable=False),  # canonical JSON
)

events = Table(  # what happened, in the order in which it was committed: the source of SSE
    "events",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("type", String, nullable=False),  # alert, device, incident
    Column("data", JSON, nullable=False),
    sqlite_autoincrement=True,  # an id is never used twice, also after old events are deleted
)

quarantine = Table(  # one row per message of which anything was refused
    "quarantine",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("received_ms", BigInteger, nullable=False, index=True),
    Column("topic", Text, nullable=False),
    Column("device", String, nullable=False, index=True),  # as the topic says, may be unknown
    Column("payload", LargeBinary, nullable=False),
    Column("reason", String, nullable=False, index=True),  # of the first refusal
    Column("refusals", JSON, nullable=False),  # [{reason, where, detail}, ...]
    Column("whole", Boolean, nullable=False),  # nothing of the message could be used
    Column("state", String, nullable=False),  # held, requested (for replay), replayed
    Column("replayed_ms", BigInteger),
    Index("quarantine_by_sender", "reason", "state", "device", "received_ms"),  # version 4
    sqlite_autoincrement=True,
)

enrolments = Table(  # version 4: what was decided of devices that sent without being registered
    "enrolments",
    metadata,
    Column("device", String, primary_key=True),
    Column("state", String, nullable=False),  # accepted, refused
    Column("at_ms", BigInteger, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False),  # of a refusal
    Column("shown_again_ms", BigInteger, nullable=False),  # of a refusal: what comes later is news
    Column("registry_version", Integer, nullable=False),  # that knows the accepted device
    Column("replay_due", Boolean, nullable=False, index=True),  # of what was sent before that
)

accounting = Table(  # rounds per device and hour of event time
    "accounting",
    metadata,
    Column("device", String, primary_key=True),
    Column("hour_ms", BigInteger, primary_key=True),
    Column("received", Integer, nullable=False),
    Column("late", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("quarantined", Integer, nullable=False),
)

sequences = Table(  # version 2: the rounds of each boot of each device by their own numbers
    "sequences",
    metadata,
    Column("device", String, primary_key=True),
    Column("boot", String, primary_key=True),
    Column("highest", BigInteger, nullable=False),
    Column("waiting", JSON, nullable=False),  # [[first, last], ...] asked for again
    Column("lost", JSON, nullable=False),  # [[first, last], ...] no longer waited for
)

totals = Table(  # exact counters, advanced in the transaction that moves the cursor
    "totals",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

progress = Table(  # how far in the journal a reader has come
    "progress",
    metadata,
    Column("reader", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("name", String, primary_key=True),
    Column("position", BigInteger, nullable=False),  # journal position that the state stands at
    Column("state", LargeBinary, nullable=False),
)

process_stats = Table(  # heartbeat and gauges of each running process
    "process_stats",
    metadata,
    Column("process", String, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("data", JSON, nullable=False),
)

api_keys = Table(  # version 7: who may call the API
    "api_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("prefix", String, nullable=False, unique=True),  # the part of a key that may be shown
    Column("hash", String, nullable=False),  # SHA-256 of the whole key, in hex
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("provinces", JSON),  # null: all
    Column("agencies", JSON),  # null: all
    Column("created_ms", BigInteger, nullable=False),  # machine time, like all of this table
    Column("expires_ms", BigInteger, nullable=False),
    Column("last_used_ms", BigInteger),
    Column("revoked_ms", BigInteger),
    Column("replaced_by", String),
)

audit = Table(  # version 7: append-only, each row chained to the one before
    "audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3, ... without a gap
    Column("at_ms", BigInteger, nullable=False),  # machine time
    Column("who", String, nullable=False),  # id of a key, subject of a token; "" for nobody known
    Column("name", String, nullable=False),
    Column("address", String, nullable=False),  # from where; "" for this machine's command line
    Column("what", String, nullable=False),
    Column("method", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("status", Integer),  # of the answer; null: no answer of HTTP
    Column("subject", Text, nullable=False),
    Column("previous", String, nullable=False),  # hash of the row before, zeros for the first
    Column("hash", String, nullable=False),  # SHA-256 over `previous` and the rest of the row
)

_REFUSAL = "the audit is append-only"
_SQLITE_GUARDS = [
    f"CREATE TRIGGER audit_no_{action.lower()} BEFORE {action} ON audit"
    f" BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    for action in ("UPDATE", "DELETE")
]
_POSTGRESQL_GUARDS = [
    "CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
    " FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()",
]


@event.listens_for(audit, "after_create")
def _guard(table: Table, connection: Connection, **options: object) -> None:
    """Whenever the table is made, the database refuses to change or delete its rows."""
    is_postgresql = connection.dialect.name == "postgresql"
    for statement in _POSTGRESQL_GUARDS if is_postgresql else _SQLITE_GUARDS:
        connection.exec_driver_sql(statement)
