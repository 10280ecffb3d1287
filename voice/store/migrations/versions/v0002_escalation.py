"""Escalations with their plans and commands, nodes, webhooks, acknowledgement links; who a leg belongs to.

Columns are added in place and never by copying a table: that is quick however many incidents there are, and on SQLite
a copied timeline would lose its triggers.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _columns()
    _plans()
    _nodes_and_escalations()
    _commands_and_events()
    _messages()


def _columns() -> None:
    op.add_column("incidents", sa.Column("customer_id", sa.String(64)))
    op.add_column("incidents", sa.Column("note", sa.Text()))
    op.add_column("incidents", sa.Column("cause_key", sa.String(96)))
    op.create_index("ix_incidents_cause_key", "incidents", ["cause_key"], unique=True)
    op.add_column("legs", sa.Column("node", sa.String(64)))
    op.add_column("legs", sa.Column("contact_id", sa.String(64)))
    op.add_column("recordings", sa.Column("node", sa.String(64)))


def _plans() -> None:
    op.create_table(
        "definitions",
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "version", name="pk_definitions"),
    )
    op.create_table(
        "frozen_plans",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_frozen_plans"),
    )


def _nodes_and_escalations() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.String(27), nullable=False),
        sa.Column("started_at", sa.String(27), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_nodes"),
    )
    op.create_table(
        "escalations",
        sa.Column("incident_id", sa.String(16), nullable=False),
        sa.Column("plan", sa.String(64), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("due_at", sa.String(27)),
        sa.Column("owner", sa.String(64)),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", name="pk_escalations"),
        _of_incident("escalations"),
        sa.ForeignKeyConstraint(["plan"], ["frozen_plans.sha256"], name="fk_escalations_plan"),
    )
    for column in ("due_at", "owner"):
        _partial_index(f"ix_escalations_{column}", "escalations", [column], "phase <> 'done'")


def _commands_and_events() -> None:
    op.create_table(
        "outbox",
        sa.Column("incident_id", sa.String(16), nullable=False),
        sa.Column("sequence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("changed_at", sa.String(27), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.PrimaryKeyConstraint("incident_id", "sequence", "n", name="pk_outbox"),
        _of_incident("outbox"),
    )
    _partial_index("ix_outbox_unsettled", "outbox", ["incident_id"], "state IN ('pending', 'started')")
    op.create_table(
        "inbox",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("incident_id", sa.String(16), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("handled_at", sa.String(27)),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
        _of_incident("inbox"),
    )
    _partial_index("ix_inbox_unhandled", "inbox", ["incident_id"], "handled_at IS NULL")


def _messages() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("hook", sa.String(64), nullable=False),
        sa.Column("incident_id", sa.String(16), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("due_at", sa.String(27), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("claimed_until", sa.String(27)),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        _of_incident("deliveries"),
    )
    _partial_index("ix_deliveries_due", "deliveries", ["hook", "due_at"], "state = 'waiting'")
    _partial_index("ix_deliveries_order", "deliveries", ["incident_id", "hook", "sequence"], "state = 'waiting'")
    op.create_table(
        "acknowledgements",
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("incident_id", sa.String(16), nullable=False),
        sa.Column("contact_id", sa.String(64), nullable=False),
        sa.Column("counts", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.String(27), nullable=False),
        sa.Column("used_at", sa.String(27)),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_acknowledgements"),
        _of_incident("acknowledgements"),
    )
    op.create_index("ix_acknowledgements_incident_id", "acknowledgements", ["incident_id"])


def _of_incident(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name=f"fk_{table}_incident_id")


def _partial_index(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
