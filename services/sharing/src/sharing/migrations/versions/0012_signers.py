"""Which key signed what agencies sent, and what a compromised one signed among it."""

import sqlalchemy as sa
from alembic import op

import common.database.types

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_MOMENT = common.database.types.UtcDateTime(timezone=True)
_JSON = common.database.types.JsonDocument


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "signed_message",
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("key_id", sa.String(length=43), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("arrived_at", _MOMENT, nullable=False),
        sa.Column("signed_at", _MOMENT, nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("delivery_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("agency", "reference", name=op.f("pk_signed_message")),
    )
    op.create_index("ix_signed_message_key", "signed_message", ["agency", "key_id"], unique=False)
    op.create_table(
        "key_look",
        sa.Column("key_id", sa.String(length=43), nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("looked_at", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "since", name=op.f("pk_key_look")),
    )
    op.create_table(
        "key_use",
        sa.Column("key_id", sa.String(length=43), nullable=False),
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("found_at", _MOMENT, nullable=False),
        sa.Column("certain", sa.Boolean(name="certain"), nullable=False),
        sa.Column("kind", sa.String(length=60), nullable=True),
        sa.Column("channel", sa.String(length=10), nullable=True),
        sa.Column("arrived_at", _MOMENT, nullable=False),
        sa.Column("signed_at", _MOMENT, nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("delivery_id", sa.Uuid(), nullable=True),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", "reference", name=op.f("pk_key_use")),
    )
    op.create_index(op.f("ix_key_use_notice_id"), "key_use", ["notice_id"], unique=False)
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.add_column(sa.Column("used", _JSON, nullable=True))
        batch_op.alter_column("event_id", existing_type=sa.Uuid(), nullable=True)
        batch_op.alter_column("digest", existing_type=sa.String(length=43), nullable=True)


def downgrade() -> None:
    """Go back; what a compromised key had signed is told of no more."""
    op.execute("DELETE FROM notice WHERE used IS NOT NULL")
    with op.batch_alter_table("notice", schema=None) as batch_op:
        batch_op.alter_column("digest", existing_type=sa.String(length=43), nullable=False)
        batch_op.alter_column("event_id", existing_type=sa.Uuid(), nullable=False)
        batch_op.drop_column("used")
    op.drop_table("key_use")
    op.drop_table("key_look")
    op.drop_index("ix_signed_message_key", "signed_message")
    op.drop_table("signed_message")
