"""A sender finds what it sent by its own reference, and in the order of changes."""

import sqlalchemy as sa
from alembic import op

import common.database.types

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("referral", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reference_bi", sa.LargeBinary(), nullable=True))
        batch_op.add_column(
            sa.Column("changed_at", common.database.types.UtcDateTime(timezone=True), nullable=True)
        )
    # A reference that was not claimed has no index yet and cannot be given one without its key;
    # `sent.worker` gives it one at the next start.
    op.execute(
        "UPDATE referral SET reference_bi = external_bi, changed_at = "
        "(SELECT changed_at FROM case_file WHERE case_file.id = referral.case_id)"
    )
    with op.batch_alter_table("referral", schema=None) as batch_op:
        batch_op.alter_column(
            "changed_at",
            existing_type=common.database.types.UtcDateTime(timezone=True),
            nullable=False,
        )
        batch_op.create_index("ix_referral_changed", ["agency", "changed_at", "id"])
        batch_op.create_index("ix_referral_reference", ["agency", "reference_bi"])


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("referral", schema=None) as batch_op:
        batch_op.drop_index("ix_referral_reference")
        batch_op.drop_index("ix_referral_changed")
        batch_op.drop_column("changed_at")
        batch_op.drop_column("reference_bi")
