"""Counts of rows by state, and indexes by which no question of the loop's reads a table that grows from end to end."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

DUE = sa.text("state = 'waiting' and group_id is null")

COUNTED = """
    insert into row_counts (signal, subject, name, state, reason, row_count)
    select signal, case when is_group then 'group' else 'action' end, step, state, reason, count(*)
    from actions group by 1, 2, 3, 4, 5
    union all
    select signal, 'event', kind, '', reason, count(*) from events group by 1, 2, 3, 4, 5
    union all
    select signal, 'build', handling, '', '', count(*) from builds group by 1, 2, 3, 4, 5
"""


def upgrade() -> None:
    op.create_table(
        "row_counts",
        sa.Column("signal", sa.String(length=128), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("signal", "subject", "name", "state", "reason"),
    )
    op.execute(COUNTED)
    for name in ("actions_build", "actions_due", "actions_open_lane"):
        op.drop_index(name, table_name="actions")
    op.create_index("actions_build", "actions", ["build_id", "is_required", "event_id", "state", "settled_at"])
    op.create_index("audit_batches_last", "audit_batches", ["last_seq"])
    op.create_index("actions_lane", "actions", ["signal", "entity_id", "state"])
    op.create_index(
        "actions_due",
        "actions",
        ["signal", "is_ready", "destination", sa.text("severity_rank desc"), "due_at"],
        sqlite_where=DUE,
        postgresql_where=DUE,
    )
