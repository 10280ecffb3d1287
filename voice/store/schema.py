"""The tables, in one metadata that SQLite and PostgreSQL share. `migrations` builds the same, step by step.

Times are texts (UTC, ISO 8601, microseconds, `Z`): they sort, they are exact on both databases, and the
timeline hashes the very text.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    event,
    text,
)

from voice.incidents.timeline import timestamp

VERSION = "0003"
"""The newest migration: what a database must stand at to be used. Migrations are numbered in order."""

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A time of day in UTC, kept as the text of `timestamp`."""

    impl = String(27)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else timestamp(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value)


incidents = Table(
    "incidents",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("device_id", String(64)),
    Column("worker_id", String(64)),
    Column("caller", Text),
    Column("dialled", Text),
    Column("identified_by", String(32)),
    Column("opened_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("taken_by", Text),
    Column("acknowledged_at", Moment),
    Column("resolved_at", Moment),
    Column("reason", String(16)),
    Column("customer_id", String(64)),
    Column("note", Text),
    Column("cause_key", String(96)),
)
_UNRESOLVED = text("state <> 'resolved'")
for _column in (incidents.c.device_id, incidents.c.worker_id, incidents.c.caller, incidents.c.opened_at):
    Index(None, _column, sqlite_where=_UNRESOLVED, postgresql_where=_UNRESOLVED)
Index(None, incidents.c.cause_key, unique=True)

timeline = Table(
    "timeline",
    metadata,
    Column("incident_id", String(16), ForeignKey("incidents.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", String(27), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    sqlite_with_rowid=False,
)

links = Table(
    "links",
    metadata,
    Column("incident_id", String(16), ForeignKey("incidents.id"), primary_key=True),
    Column("other_id", String(16), ForeignKey("incidents.id"), primary_key=True),
)

legs = Table(
    "legs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("incident_id", String(16), ForeignKey("incidents.id"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("operator_id", String(64)),
    Column("call_id", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("codec", String(16)),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("cause", Text),
    Column("node", String(64)),
    Column("contact_id", String(64)),
)
_UNFINISHED = text("ended_at IS NULL")
Index("ix_legs_unfinished", legs.c.id, sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED)

recordings = Table(
    "recordings",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("incident_id", String(16), ForeignKey("incidents.id"), nullable=False, index=True),
    Column("leg_id", String(64), ForeignKey("legs.id"), nullable=False, index=True),
    Column("direction", String(16), nullable=False),
    Column("index", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("offset_ms", BigInteger, nullable=False),
    Column("duration_ms", BigInteger),
    Column("bytes", BigInteger),
    Column("sha256", String(64)),
    Column("lost_ms", BigInteger),
    Column("complete", Boolean, nullable=False),
    Column("node", String(64)),
)
_INCOMPLETE = text("duration_ms IS NULL")
Index("ix_recordings_unfinished", recordings.c.id, sqlite_where=_INCOMPLETE, postgresql_where=_INCOMPLETE)

bindings = Table(
    "bindings",
    metadata,
    Column("user", String(128), primary_key=True),
    Column("contacts", Text, nullable=False),
)

definitions = Table(
    "definitions",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("at", Moment, nullable=False),
)

frozen_plans = Table(
    "frozen_plans",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("content", Text, nullable=False),
    Column("at", Moment, nullable=False),
)

nodes = Table(
    "nodes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("slot", Integer, nullable=False),
)

escalations = Table(
    "escalations",
    metadata,
    Column("incident_id", String(16), ForeignKey("incidents.id"), primary_key=True),
    Column("plan", String(64), ForeignKey("frozen_plans.sha256"), nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("due_at", Moment),
    Column("owner", String(64)),
    Column("epoch", Integer, nullable=False),
)
_UNDER_WAY = text("phase <> 'done'")
for _column in (escalations.c.due_at, escalations.c.owner):
    Index(None, _column, sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY)

outbox = Table(
    "outbox",
    metadata,
    Column("incident_id", String(16), ForeignKey("incidents.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(32), nullable=False),
    Column("command", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("outcome", Text),
)
_UNSETTLED = text("state IN ('pending', 'started')")
Index("ix_outbox_unsettled", outbox.c.incident_id, sqlite_where=_UNSETTLED, postgresql_where=_UNSETTLED)

inbox = Table(
    "inbox",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("incident_id", String(16), ForeignKey("incidents.id"), nullable=False),
    Column("event", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("handled_at", Moment),
)
_UNHANDLED = text("handled_at IS NULL")
Index("ix_inbox_unhandled", inbox.c.incident_id, sqlite_where=_UNHANDLED, postgresql_where=_UNHANDLED)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("hook", String(64), nullable=False),
    Column("incident_id", String(16), ForeignKey("incidents.id"), nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("body", Text, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("error", Text),
    Column("claimed_until", Moment),
)
_WAITING = text("state = 'waiting'")
Index(
    "ix_deliveries_due",
    deliveries.c.hook,
    deliveries.c.due_at,
    sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)
Index(
    "ix_deliveries_order",
    deliveries.c.incident_id,
    deliveries.c.hook,
    deliveries.c.sequence,
    sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("incident_id", String(16), ForeignKey("incidents.id"), nullable=False, index=True),
    Column("contact_id", String(64), nullable=False),
    Column("counts", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("worker_id", String(64), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("phase", String(16), nullable=False),
    Column("pending", Integer, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("owner", String(64)),
    Column("epoch", Integer, nullable=False),
)
_OPEN = text("phase <> 'ended'")
Index("ix_sessions_open", sessions.c.worker_id, unique=True, sqlite_where=_OPEN, postgresql_where=_OPEN)
Index("ix_sessions_worker_id", sessions.c.worker_id, sessions.c.started_at)
_TO_KEEP = text("phase <> 'ended' OR pending > 0")
Index("ix_sessions_owner", sessions.c.owner, sqlite_where=_TO_KEEP, postgresql_where=_TO_KEEP)

session_log = Table(
    "session_log",
    metadata,
    Column("session_id", String(64), ForeignKey("sessions.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False),
    sqlite_with_rowid=False,
)

session_inbox = Table(
    "session_inbox",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("session_id", String(64), ForeignKey("sessions.id"), nullable=False),
    Column("event", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("handled_at", Moment),
)
Index("ix_session_inbox_unhandled", session_inbox.c.session_id, sqlite_where=_UNHANDLED, postgresql_where=_UNHANDLED)

credentials = Table(
    "credentials",
    metadata,
    Column("worker_id", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("hash", Text, nullable=False),
    Column("changed_at", Moment, nullable=False),
)

failures = Table(
    "failures",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("worker_id", String(64), nullable=False),
    Column("at", Moment, nullable=False),
)
Index("ix_failures_worker_id", failures.c.worker_id, failures.c.at)

memos = Table(
    "memos",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("worker_id", String(64), nullable=False),
    Column("session_id", String(64)),
    Column("path", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("seconds", Float, nullable=False),
    Column("transcript", Text),
)
Index("ix_memos_worker_id", memos.c.worker_id, memos.c.made_at)

APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER timeline_no_update BEFORE UPDATE ON timeline "
        "BEGIN SELECT RAISE(ABORT, 'the timeline is append-only'); END",
        "CREATE TRIGGER timeline_no_delete BEFORE DELETE ON timeline "
        "BEGIN SELECT RAISE(ABORT, 'the timeline is append-only'); END",
        # REPLACE deletes what stands in its way without asking the trigger above.
        "CREATE TRIGGER timeline_no_replace BEFORE INSERT ON timeline WHEN EXISTS (SELECT 1 FROM timeline "
        "WHERE incident_id = NEW.incident_id AND sequence = NEW.sequence) "
        "BEGIN SELECT RAISE(ABORT, 'the timeline is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION timeline_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'the timeline is append-only' USING ERRCODE = 'integrity_constraint_violation'; "
        "END $$",
        "CREATE TRIGGER timeline_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON timeline "
        "FOR EACH STATEMENT EXECUTE FUNCTION timeline_is_append_only()",
    ),
}
"""What makes the database itself refuse to alter a timeline, by dialect."""


LOG_APPEND_ONLY = {
    "sqlite": (
        "CREATE TRIGGER session_log_no_update BEFORE UPDATE ON session_log "
        "BEGIN SELECT RAISE(ABORT, 'the log of a session is append-only'); END",
        "CREATE TRIGGER session_log_no_delete BEFORE DELETE ON session_log "
        "BEGIN SELECT RAISE(ABORT, 'the log of a session is append-only'); END",
        "CREATE TRIGGER session_log_no_replace BEFORE INSERT ON session_log WHEN EXISTS (SELECT 1 FROM session_log "
        "WHERE session_id = NEW.session_id AND sequence = NEW.sequence) "
        "BEGIN SELECT RAISE(ABORT, 'the log of a session is append-only'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION session_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'the log of a session is append-only' USING ERRCODE = 'integrity_constraint_violation'; "
        "END $$",
        "CREATE TRIGGER session_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON session_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION session_log_is_append_only()",
    ),
}
"""The same of what is written about sessions of check-ins."""


@event.listens_for(session_log, "after_create")
def _forbid_changes_of_log(target: Table, connection: Connection, **options: Any) -> None:
    for statement in LOG_APPEND_ONLY.get(connection.dialect.name, ()):
        connection.exec_driver_sql(statement)


@event.listens_for(timeline, "after_create")
def _forbid_changes(target: Table, connection: Connection, **options: Any) -> None:
    for statement in APPEND_ONLY.get(connection.dialect.name, ()):
        connection.exec_driver_sql(statement)
