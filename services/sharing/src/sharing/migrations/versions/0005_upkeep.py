"""Indexes for the release worker's upkeep, which must not read all that ever left."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_PROMISED = sa.text("standing = 'promised'")
_NOT_SAVED = sa.text("state = 'released' AND standing <> '' AND saved_at IS NULL")


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("disclosure", schema=None) as batch_op:
        batch_op.create_index(
            "ix_disclosure_promised",
            ["id"],
            unique=False,
            sqlite_where=_PROMISED,
            postgresql_where=_PROMISED,
        )
        batch_op.create_index(
            "ix_disclosure_not_saved",
            ["recipient", "sealed_to", "id"],
            unique=False,
            sqlite_where=_NOT_SAVED,
            postgresql_where=_NOT_SAVED,
        )


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("disclosure", schema=None) as batch_op:
        batch_op.drop_index("ix_disclosure_not_saved")
        batch_op.drop_index("ix_disclosure_promised")
