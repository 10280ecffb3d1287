"""Sessions of check-ins with their log and inbox, PINs that were changed by telephone, failed PINs, amber memos."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_APPEND_ONLY = {
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


def upgrade() -> None:
    _sessions()
    _log_and_inbox()
    _pins()
    _memos()


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("worker_id", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.String(27), nullable=False),
        sa.Column("started_at", sa.String(27), nullable=False),
        sa.Column("ends_at", sa.String(27), nullable=False),
        sa.Column("owner", sa.String(64)),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    _partial_index("ix_sessions_open", "sessions", ["worker_id"], "phase <> 'ended'", unique=True)
    op.create_index("ix_sessions_worker_id", "sessions", ["worker_id", "started_at"])
    _partial_index("ix_sessions_owner", "sessions", ["owner"], "phase <> 'ended' OR pending > 0")


def _log_and_inbox() -> None:
    op.create_table(
        "session_log",
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "sequence", name="pk_session_log"),
        _of_session("session_log"),
        sqlite_with_rowid=False,
    )
    for statement in _APPEND_ONLY.get(op.get_bind().dialect.name, ()):
        op.execute(statement)
    op.create_table(
        "session_inbox",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("handled_at", sa.String(27)),
        sa.PrimaryKeyConstraint("id", name="pk_session_inbox"),
        _of_session("session_inbox"),
    )
    _partial_index("ix_session_inbox_unhandled", "session_inbox", ["session_id"], "handled_at IS NULL")


def _pins() -> None:
    op.create_table(
        "credentials",
        sa.Column("worker_id", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("worker_id", "kind", name="pk_credentials"),
    )
    op.create_table(
        "failures",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("worker_id", sa.String(64), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_failures"),
    )
    op.create_index("ix_failures_worker_id", "failures", ["worker_id", "at"])


def _memos() -> None:
    op.create_table(
        "memos",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("worker_id", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(64)),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("made_at", sa.String(27), nullable=False),
        sa.Column("expires_at", sa.String(27), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("transcript", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_memos"),
    )
    op.create_index("ix_memos_expires_at", "memos", ["expires_at"])
    op.create_index("ix_memos_worker_id", "memos", ["worker_id", "made_at"])


def _of_session(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=f"fk_{table}_session_id")


def _partial_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
