"""An emergency promise that was not kept stays told when a later version of the case is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("earlier_promise", sa.String(length=20), server_default="", nullable=False)
        )


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.drop_column("earlier_promise")
