"""What a sample read back is kept beside its verdict; indexes by which samples are drawn and found."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

DELIVERED = sa.text("state = 'delivered' and group_id is null")


def upgrade() -> None:
    op.add_column("sampled_records", sa.Column("read_json", sa.Text(), nullable=True))
    op.create_index("sampled_records_checked", "sampled_records", ["checked_at"], unique=False)
    op.create_index(
        "actions_delivered",
        "actions",
        ["settled_at"],
        unique=False,
        sqlite_where=DELIVERED,
        postgresql_where=DELIVERED,
    )
