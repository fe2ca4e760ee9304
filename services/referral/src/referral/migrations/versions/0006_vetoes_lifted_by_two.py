"""Which agencies are kept out of a case, and requests to lift a veto."""

import sqlalchemy as sa
from alembic import op

import common.database.types

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_MOMENT = common.database.types.UtcDateTime(timezone=True)


def upgrade() -> None:
    """Go forward. No case of before bars anybody: until now nothing could."""
    op.create_table(
        "bar",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("agency", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "agency", name=op.f("pk_bar")),
    )
    op.create_table(
        "veto_lifting",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("agency", sa.String(length=60), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("asked_at", _MOMENT, nullable=False),
        sa.Column("lapses_at", _MOMENT, nullable=False),
        sa.Column("settled_at", _MOMENT, nullable=True),
        sa.Column("detail_ct", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_veto_lifting")),
    )
    with op.batch_alter_table("veto_lifting", schema=None) as batch_op:
        batch_op.create_index("ix_veto_lifting_case_id", ["case_id"])
        batch_op.create_index("ix_veto_lifting_waiting", ["state", "lapses_at"])


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("veto_lifting", schema=None) as batch_op:
        batch_op.drop_index("ix_veto_lifting_waiting")
        batch_op.drop_index("ix_veto_lifting_case_id")
    op.drop_table("veto_lifting")
    op.drop_table("bar")
