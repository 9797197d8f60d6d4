"""The audit trail is sealed batch by batch and refuses changes; samples, incidents and criteria get tables."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

REFUSAL = "the audit trail is append-only"
ERASED = "(erased)"
KEPT = ("seq", "at", "actor", "verb", "signal", "build_id", "action_id", "from_state", "to_state", "reason")
AT_ONCE = 500


def upgrade() -> None:
    with op.batch_alter_table("audit") as audit:
        audit.add_column(sa.Column("salt", sa.String(length=32), nullable=True))
        audit.add_column(sa.Column("erased_digest", sa.String(length=64), nullable=True))
    _make_batches()
    _make_samples()
    _make_alerts()
    _make_criteria()
    _seal_what_is_there(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        _guard_postgres()
    else:
        _guard_sqlite()


def _make_batches() -> None:
    op.create_table(
        "audit_batches",
        sa.Column("chain", sa.String(length=128), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Text(), nullable=False),
        sa.Column("head", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("chain", "number"),
    )


def _make_samples() -> None:
    op.create_table(
        "samples",
        sa.Column("sample_id", sa.String(length=64), nullable=False),
        sa.Column("cadence", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=False),
        sa.Column("strata_json", sa.Text(), nullable=False),
        sa.Column("drawn_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sample_id"),
    )
    op.create_table(
        "sampled_records",
        sa.Column("sample_id", sa.String(length=64), nullable=False),
        sa.Column("action_id", sa.String(length=64), nullable=False),
        sa.Column("signal", sa.String(length=128), nullable=False),
        sa.Column("step", sa.String(length=128), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("findings_json", sa.Text(), nullable=False),
        sa.Column("is_in_time", sa.Boolean(), nullable=True),
        sa.Column("checked_at", sa.DateTime(), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=True),
        sa.Column("person_verdict", sa.String(length=16), nullable=True),
        sa.Column("person_why", sa.Text(), nullable=True),
        sa.Column("person_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("sample_id", "action_id"),
    )
    op.create_index("sampled_records_signal", "sampled_records", ["signal", "checked_at"], unique=False)


def _make_alerts() -> None:
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(), nullable=False),
        sa.Column("resolved_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("incident_id"),
    )
    is_open = sa.text("resolved_at is null")
    op.create_index(
        "incidents_open",
        "incidents",
        ["kind", "subject"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "alert_messages",
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("arguments_json", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("begun_at", sa.DateTime(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(), nullable=False),
        sa.Column("settled_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("message_id"),
    )
    is_unsent = sa.text("state in ('waiting', 'sending')")
    op.create_index(
        "alert_messages_open",
        "alert_messages",
        ["due_at"],
        unique=False,
        sqlite_where=is_unsent,
        postgresql_where=is_unsent,
    )


def _make_criteria() -> None:
    op.create_table(
        "criteria",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("value_json", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("preview_json", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.String(length=128), nullable=False),
        sa.Column("proposed_at", sa.DateTime(), nullable=False),
        sa.Column("decided_by", sa.String(length=128), nullable=True),
        sa.Column("decided_why", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("name", "number"),
    )


def _seal_what_is_there(connection: sa.Connection) -> None:
    """Rows from before the chain: they are sealed as they stand now, so that later changes are noticed."""
    from dagster_project.ledger.audit_chain import NO_SIGNAL, seal

    names: Iterable[str | None] = connection.execute(sa.text("select distinct signal from audit")).scalars().all()
    for signal in names:
        last = 0
        while rows := _page(connection, signal, last):
            _salt(connection, rows)
            seal(connection, signal or NO_SIGNAL, rows)
            last = rows[-1]["seq"]


def _page(connection: sa.Connection, signal: str | None, after: int) -> list[dict[str, Any]]:
    from dagster_project.ledger.schema import audit

    of_chain = audit.c.signal.is_(None) if signal is None else audit.c.signal == signal
    columns = [audit.c[name] for name in (*KEPT, "detail", "salt")]
    query = sa.select(*columns).where(of_chain, audit.c.seq > after).order_by(audit.c.seq).limit(AT_ONCE)
    return [dict(row) for row in connection.execute(query).mappings()]


def _salt(connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    import os

    for row in rows:
        if row["detail"]:
            row["salt"] = os.urandom(16).hex()
            statement = sa.text("update audit set salt = :salt where seq = :seq")
            connection.execute(statement, {"salt": row["salt"], "seq": row["seq"]})


def _erasing(same: str) -> str:
    """The one change that is let through: a text and its salt give way to the digest; nothing else moves."""
    kept = " and ".join(f"new.{name} {same} old.{name}" for name in KEPT)
    emptied = f"new.detail = '{ERASED}' and new.salt is null and new.erased_digest is not null"
    return f"{emptied} and old.erased_digest is null and {kept}"


def _guard_postgres() -> None:
    op.execute(
        f"""
        create function audit_is_append_only() returns trigger language plpgsql as $$
        begin
            if tg_op = 'UPDATE' and tg_table_name = 'audit' then
                if {_erasing("is not distinct from")} then
                    return new;
                end if;
            end if;
            raise exception '{REFUSAL}: % on % is refused', lower(tg_op), tg_table_name;
        end $$
        """
    )
    for table in ("audit", "audit_batches"):
        op.execute(
            f"create trigger {table}_rows_stay before update or delete on {table} "
            "for each row execute function audit_is_append_only()"
        )
        op.execute(
            f"create trigger {table}_stays before truncate on {table} "
            "for each statement execute function audit_is_append_only()"
        )


def _guard_sqlite() -> None:
    for table in ("audit", "audit_batches"):
        exception = f"when not ({_erasing('is')})" if table == "audit" else ""
        op.execute(
            f"create trigger {table}_is_not_updated before update on {table} {exception} "
            f"begin select raise(abort, '{REFUSAL}: update on {table} is refused'); end"
        )
        op.execute(
            f"create trigger {table}_is_not_deleted before delete on {table} "
            f"begin select raise(abort, '{REFUSAL}: delete on {table} is refused'); end"
        )
