"""Notices to agencies whose envelopes were set aside."""

import sqlalchemy as sa
from alembic import op

import common.database.types

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOMENT = common.database.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=43), nullable=False),
        sa.Column("reason_code", sa.String(length=60), nullable=False),
        sa.Column("received_at", _MOMENT, nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.Column("sent_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notice")),
        sa.UniqueConstraint("record_id", name=op.f("uq_notice_record_id")),
    )
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.create_index("ix_notice_state", ["state", "id"], unique=False)
        batch_op.create_index("ix_notice_agency", ["agency", "id"], unique=False)


def downgrade() -> None:
    """Go back."""
    op.drop_table("notice")
