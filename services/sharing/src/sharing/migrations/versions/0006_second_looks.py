"""The second-look queue; it holds no personal data."""

import sqlalchemy as sa
from alembic import op

import common.database.types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MOMENT = common.database.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    """Go forward. What was done before is in the audit log, and files nothing."""
    op.create_table(
        "second_look",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("reason_code", sa.String(length=40), nullable=False),
        sa.Column("filed_at", _MOMENT, nullable=False),
        sa.Column("due_at", _MOMENT, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("reviewed_at", _MOMENT, nullable=True),
        sa.Column("outcome_code", sa.String(length=40), nullable=False),
        sa.Column("alarmed_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_second_look")),
    )
    with op.batch_alter_table("second_look", schema=None) as batch_op:
        batch_op.create_index("ix_second_look_due", ["state", "due_at"])
    op.create_table(
        "second_look_party",
        sa.Column("look_id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("look_id", "token", name=op.f("pk_second_look_party")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("second_look_party")
    with op.batch_alter_table("second_look", schema=None) as batch_op:
        batch_op.drop_index("ix_second_look_due")
    op.drop_table("second_look")
