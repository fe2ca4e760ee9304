"""A refused intake is known again by keyed hashes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("refused_intake", schema=None) as batch_op:
        batch_op.add_column(sa.Column("key_mark", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("reference_mark", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("refused_intake", schema=None) as batch_op:
        batch_op.drop_column("reference_mark")
        batch_op.drop_column("key_mark")
