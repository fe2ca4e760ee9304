"""Snapshots that wait for their sender's turn to be decided on."""

import sqlalchemy as sa
from alembic import op

import common.database.types

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_MOMENT = common.database.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "undecided",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("place", sa.Uuid(), nullable=False),
        sa.Column("sender", sa.String(length=64), nullable=False),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("key_id", sa.Uuid(), nullable=False),
        sa.Column("snapshot_ct", sa.LargeBinary(), nullable=False),
        sa.Column("again_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("case_id", "version", name=op.f("pk_undecided")),
    )
    with op.batch_alter_table("undecided", schema=None) as batch_op:
        batch_op.create_index("ix_undecided_turn", ["urgent", "sender", "place"])


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("undecided", schema=None) as batch_op:
        batch_op.drop_index("ix_undecided_turn")
    op.drop_table("undecided")
