"""A person may decide the mode of a signal; runs share the rate of a destination."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "modes",
        sa.Column("signal", sa.String(length=128), nullable=False),
        sa.Column("declared", sa.String(length=16), nullable=False),
        sa.Column("decided", sa.String(length=16), nullable=True),
        sa.Column("by", sa.String(length=128), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("signal"),
    )
    op.create_table(
        "paces",
        sa.Column("destination", sa.String(length=64), nullable=False),
        sa.Column("next_at", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("destination"),
    )
