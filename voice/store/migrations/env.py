"""Alembic runs this to migrate, on the connection and in the transaction of `voice.store.migrate.upgrade`."""

from alembic import context

from voice.store import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
