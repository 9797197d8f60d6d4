"""Totals and deeds stand for what pruning takes away."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"


def upgrade() -> None:
    with op.batch_alter_table("builds") as builds:
        builds.add_column(sa.Column("pruned_events", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "pruned_totals",
        sa.Column("signal", sa.String(length=128), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("step", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "unit", "kind", "step", "state", "reason"),
    )
    op.create_table(
        "pruned_deeds",
        sa.Column("signal", sa.String(length=128), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("step", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("last_build_no", sa.BigInteger(), nullable=False),
        sa.Column("last_external_id", sa.Text(), nullable=True),
        sa.Column("last_settled_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "entity_id", "step", "kind"),
    )
