"""A migrated ledger on the real PostgreSQL, emptied for each test; migrating anew would take longer than most tests."""

from __future__ import annotations

from audit_guards import without_guards

from dagster_project.ledger.database import Clock, Database
from dagster_project.ledger.schema import metadata


def emptied_postgres(url: str, clock: Clock) -> Database:
    database = Database(url, clock)
    with database.writing() as connection:
        without_guards(connection)
        names = ", ".join(table.name for table in metadata.sorted_tables)
        connection.exec_driver_sql(f"truncate {names} restart identity")
    return database
