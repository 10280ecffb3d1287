"""Incidents, their timelines, legs and recordings; registrations; facts of the service."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_APPEND_ONLY = {
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


def upgrade() -> None:
    _incidents()
    _timeline()
    _calls()
    op.create_table(
        "bindings",
        sa.Column("user", sa.String(128), nullable=False),
        sa.Column("contacts", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user", name="pk_bindings"),
    )


def _incidents() -> None:
    op.create_table(
        "incidents",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("device_id", sa.String(64)),
        sa.Column("worker_id", sa.String(64)),
        sa.Column("caller", sa.Text()),
        sa.Column("dialled", sa.Text()),
        sa.Column("identified_by", sa.String(32)),
        sa.Column("opened_at", sa.String(27), nullable=False),
        sa.Column("changed_at", sa.String(27), nullable=False),
        sa.Column("taken_by", sa.Text()),
        sa.Column("acknowledged_at", sa.String(27)),
        sa.Column("resolved_at", sa.String(27)),
        sa.Column("reason", sa.String(16)),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
    )
    unresolved = sa.text("state <> 'resolved'")
    for column in ("device_id", "worker_id", "caller", "opened_at"):
        op.create_index(
            f"ix_incidents_{column}",
            "incidents",
            [column],
            sqlite_where=unresolved,
            postgresql_where=unresolved,
        )
    op.create_table(
        "links",
        sa.Column("incident_id", sa.String(16), nullable=False),
        sa.Column("other_id", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "other_id", name="pk_links"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_links_incident_id"),
        sa.ForeignKeyConstraint(["other_id"], ["incidents.id"], name="fk_links_other_id"),
    )


def _timeline() -> None:
    op.create_table(
        "timeline",
        sa.Column("incident_id", sa.String(16), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "sequence", name="pk_timeline"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_timeline_incident_id"),
        sqlite_with_rowid=False,
    )
    for statement in _APPEND_ONLY.get(op.get_bind().dialect.name, ()):
        op.execute(statement)


def _calls() -> None:
    op.create_table(
        "legs",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("incident_id", sa.String(16), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("operator_id", sa.String(64)),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("codec", sa.String(16)),
        sa.Column("started_at", sa.String(27), nullable=False),
        sa.Column("ended_at", sa.String(27)),
        sa.Column("cause", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_legs"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_legs_incident_id"),
    )
    op.create_index("ix_legs_incident_id", "legs", ["incident_id"])
    _partial_index("ix_legs_unfinished", "legs", "ended_at IS NULL")
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("incident_id", sa.String(16), nullable=False),
        sa.Column("leg_id", sa.String(64), nullable=False),
        sa.Column("direction", sa.String(16), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("started_at", sa.String(27), nullable=False),
        sa.Column("offset_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger()),
        sa.Column("bytes", sa.BigInteger()),
        sa.Column("sha256", sa.String(64)),
        sa.Column("lost_ms", sa.BigInteger()),
        sa.Column("complete", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recordings"),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name="fk_recordings_incident_id"),
        sa.ForeignKeyConstraint(["leg_id"], ["legs.id"], name="fk_recordings_leg_id"),
    )
    op.create_index("ix_recordings_incident_id", "recordings", ["incident_id"])
    op.create_index("ix_recordings_leg_id", "recordings", ["leg_id"])
    _partial_index("ix_recordings_unfinished", "recordings", "duration_ms IS NULL")


def _partial_index(name: str, table: str, condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, ["id"], sqlite_where=where, postgresql_where=where)
