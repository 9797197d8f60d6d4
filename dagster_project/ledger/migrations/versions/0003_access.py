"""People with roles, their tokens and sessions; indexes by which the console finds its pages' rows."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

QUEUED = sa.text("group_id is null and state <> 'delivered'")
BY_PEOPLE = sa.text("actor <> 'loop' and substr(actor, 1, 4) <> 'run:'")
HAS_EXTERNAL_ID = sa.text("external_id is not null")


def upgrade() -> None:
    op.create_table(
        "people",
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("roles", sa.String(length=64), nullable=False),
        sa.Column("owners_json", sa.Text(), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("changed_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "access_tokens",
        sa.Column("token_id", sa.String(length=16), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("label", sa.String(length=128), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.DateTime(), nullable=False),
        sa.Column("expires_at", sa.DateTime(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(), nullable=True),
        sa.Column("used_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("token_id"),
    )
    op.create_table(
        "sessions",
        sa.Column("session_hash", sa.String(length=64), nullable=False),
        sa.Column("person", sa.String(length=128), nullable=False),
        sa.Column("way_in", sa.String(length=16), nullable=False),
        sa.Column("token_id", sa.String(length=16), nullable=True),
        sa.Column("began_at", sa.DateTime(), nullable=False),
        sa.Column("seen_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("session_hash"),
    )
    op.create_index(
        "actions_queue",
        "actions",
        ["state", "signal", "reason", "destination", "planned_at", "action_id"],
        unique=False,
        sqlite_where=QUEUED,
        postgresql_where=QUEUED,
    )
    op.create_index(
        "actions_external",
        "actions",
        ["external_id"],
        unique=False,
        sqlite_where=HAS_EXTERNAL_ID,
        postgresql_where=HAS_EXTERNAL_ID,
    )
    op.create_index("events_entity", "events", ["entity_id"], unique=False)
    op.create_index("audit_people", "audit", ["seq"], unique=False, sqlite_where=BY_PEOPLE, postgresql_where=BY_PEOPLE)
