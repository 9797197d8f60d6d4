"""Alembic's entry: runs the migrations on the connection that the ledger hands over."""

from alembic import context

from dagster_project.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    version_table="ledger_version",
)
with context.begin_transaction():
    context.run_migrations()
