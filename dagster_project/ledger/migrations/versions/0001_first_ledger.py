"""The ledger's first schema, written out so that later changes to the code's tables do not change the past."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SEQUENCE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "actions",
        sa.Column("action_id", sa.String(length=64), nullable=False),
        sa.Column("is_group", sa.Boolean(), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("event_id", sa.String(length=64), nullable=True),
        sa.Column("build_id", sa.String(length=64), nullable=False),
        sa.Column("build_no", sa.BigInteger(), nullable=False),
        sa.Column("signal", sa.String(length=128), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=True),
        sa.Column("episode", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=128), nullable=False),
        sa.Column("step_index", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("operation", sa.String(length=64), nullable=False),
        sa.Column("idempotency", sa.String(length=32), nullable=False),
        sa.Column("playbook_version", sa.String(length=32), nullable=False),
        sa.Column("severity_rank", sa.Integer(), nullable=False),
        sa.Column("is_required", sa.Boolean(), nullable=False),
        sa.Column("contact_entity", sa.String(length=64), nullable=True),
        sa.Column("contact_id", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("is_ready", sa.Boolean(), nullable=False),
        sa.Column("is_sealed", sa.Boolean(), nullable=False),
        sa.Column("is_approved", sa.Boolean(), nullable=False),
        sa.Column("planned_at", sa.DateTime(), nullable=False),
        sa.Column("due_at", sa.DateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("settled_at", sa.DateTime(), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("result_json", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("action_id"),
    )
    op.create_index("actions_build", "actions", ["build_id", "state"], unique=False)
    op.create_index(
        "actions_due",
        "actions",
        ["signal", "is_ready", sa.text("severity_rank desc"), "due_at"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting' and group_id is null"),
        postgresql_where=sa.text("state = 'waiting' and group_id is null"),
    )
    op.create_index("actions_event", "actions", ["event_id"], unique=False)
    op.create_index("actions_group", "actions", ["group_id"], unique=False)
    op.create_index(
        "actions_leased",
        "actions",
        ["lease_token"],
        unique=False,
        sqlite_where=sa.text("lease_token is not null"),
        postgresql_where=sa.text("lease_token is not null"),
    )
    op.create_index(
        "actions_open_lane",
        "actions",
        ["signal", "entity_id"],
        unique=False,
        sqlite_where=sa.text("state in ('waiting', 'held', 'dead')"),
        postgresql_where=sa.text("state in ('waiting', 'held', 'dead')"),
    )
    op.create_table(
        "attempts",
        sa.Column("attempt_id", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("action_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.Column("lease_token", sa.String(length=64), nullable=False),
        sa.Column("begun_at", sa.DateTime(), nullable=False),
        sa.Column("ended_at", sa.DateTime(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("is_counted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("attempt_id"),
    )
    op.create_index("attempts_action", "attempts", ["action_id", "number"], unique=False)
    op.create_index("attempts_run", "attempts", ["run_id"], unique=False)
    op.create_index(
        "attempts_open",
        "attempts",
        ["lease_token"],
        unique=False,
        sqlite_where=sa.text("verdict is null"),
        postgresql_where=sa.text("verdict is null"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("at", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("verb", sa.String(length=32), nullable=False),
        sa.Column("signal", sa.String(length=128), nullable=True),
        sa.Column("build_id", sa.String(length=64), nullable=True),
        sa.Column("action_id", sa.String(length=64), nullable=True),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index("audit_action", "audit", ["action_id", "seq"], unique=False)
    op.create_table(
        "builds",
        sa.Column("build_id", sa.String(length=64), nullable=False),
        sa.Column("signal", sa.String(length=128), nullable=False),
        sa.Column("build_no", sa.BigInteger(), nullable=False),
        sa.Column("code_version", sa.String(length=128), nullable=True),
        sa.Column("criteria_version", sa.String(length=128), nullable=True),
        sa.Column("data_as_of", sa.DateTime(), nullable=False),
        sa.Column("population", sa.BigInteger(), nullable=True),
        sa.Column("flagged", sa.BigInteger(), nullable=False),
        sa.Column("opened", sa.BigInteger(), nullable=False),
        sa.Column("escalated", sa.BigInteger(), nullable=False),
        sa.Column("resolved", sa.BigInteger(), nullable=False),
        sa.Column("captured_at", sa.DateTime(), nullable=False),
        sa.Column("released_at", sa.DateTime(), nullable=False),
        sa.Column("ingested_at", sa.DateTime(), nullable=False),
        sa.Column("handling", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("build_id"),
        sa.UniqueConstraint("signal", "build_no", name="builds_signal_build_no"),
    )
    op.create_table(
        "destinations",
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.DateTime(), nullable=True),
        sa.Column("not_before", sa.DateTime(), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("destination"),
    )
    op.create_table(
        "do_not_contact",
        sa.Column("entity", sa.String(length=64), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("listed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "entity_id"),
    )
    op.create_table(
        "events",
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("build_id", sa.String(length=64), nullable=False),
        sa.Column("signal", sa.String(length=128), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("episode", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("observed_at", sa.DateTime(), nullable=False),
        sa.Column("emitted_at", sa.DateTime(), nullable=False),
        sa.Column("row_json", sa.Text(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("events_build", "events", ["build_id"], unique=False)
    op.create_index("events_lane", "events", ["signal", "entity_id", "episode"], unique=False)
    op.create_table(
        "facts",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "pauses",
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
    )
    op.create_table(
        "playbook_versions",
        sa.Column("version", sa.String(length=32), nullable=False),
        sa.Column("signal", sa.String(length=128), nullable=False),
        sa.Column("playbook", sa.String(length=128), nullable=False),
        sa.Column("content_json", sa.Text(), nullable=False),
        sa.Column("first_seen_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "requests",
        sa.Column("action_id", sa.String(length=64), nullable=False),
        sa.Column("arguments_json", sa.Text(), nullable=False),
        sa.Column("rendered_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("action_id"),
    )
