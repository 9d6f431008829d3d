"""Runs the revisions on the connection that the caller put into the configuration."""

from alembic import context

from ledger.models import VERSION_TABLE, metadata

connection = context.config.attributes["connection"]

context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite's DDL is transactional once BEGIN is ours: an interrupted upgrade leaves nothing.
    transactional_ddl=True,
    compare_type=True,
    version_table=VERSION_TABLE,
)

with context.begin_transaction():
    context.run_migrations()
