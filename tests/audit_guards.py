"""Goes around the triggers that keep the audit trail append-only, as somebody with all rights could."""

from __future__ import annotations

from sqlalchemy import Connection

SQLITE_GUARDS = tuple(
    f"{table}_is_not_{what}" for table in ("audit", "audit_batches") for what in ("updated", "deleted")
)


def without_guards(connection: Connection) -> None:
    """From here on in this transaction (on SQLite: for good) the trail may be changed."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("set local session_replication_role = replica")
        return
    for guard in SQLITE_GUARDS:
        connection.exec_driver_sql(f"drop trigger if exists {guard}")
