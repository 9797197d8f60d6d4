"""The index of groups holds members only, so that no question about single actions can take it and read them all."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

IS_MEMBER = sa.text("group_id is not null")


def upgrade() -> None:
    op.drop_index("actions_group", "actions")
    op.create_index(
        "actions_group",
        "actions",
        ["group_id"],
        unique=False,
        sqlite_where=IS_MEMBER,
        postgresql_where=IS_MEMBER,
    )
