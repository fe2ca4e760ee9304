"""A recipient finds the case it was told of by its own reference, to set a veto on itself."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. The service fills in the references when it starts: it has the key."""
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        word = sa.String(length=20)
        batch_op.add_column(sa.Column("reference", word, server_default="", nullable=False))
        batch_op.create_index("ix_outcome_reference", ["recipient", "reference"], unique=False)


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        batch_op.drop_index("ix_outcome_reference")
        batch_op.drop_column("reference")
