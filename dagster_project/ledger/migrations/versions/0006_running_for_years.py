"""Totals and deeds stand for what pruning takes away; what the first ledgers were made without is made good."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


FACT_NAME_LENGTH = 200


def upgrade() -> None:
    _make_good()
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


def _make_good() -> None:
    """Ledgers that were made while 0001 and 0002 were young have short names of facts, and no paces."""
    inspector = sa.inspect(op.get_bind())
    if not inspector.has_table("paces"):
        op.create_table(
            "paces",
            sa.Column("destination", sa.String(length=64), nullable=False),
            sa.Column("next_at", sa.DateTime(), nullable=False),
            sa.PrimaryKeyConstraint("destination"),
        )
    name = next(column for column in inspector.get_columns("facts") if column["name"] == "name")
    if getattr(name["type"], "length", None) != FACT_NAME_LENGTH:
        with op.batch_alter_table("facts") as facts:
            facts.alter_column("name", type_=sa.String(length=FACT_NAME_LENGTH), existing_nullable=False)
