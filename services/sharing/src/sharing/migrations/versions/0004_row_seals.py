"""Each row of a case, a disclosure and a delivery is bound by a seal over what it says."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_SEALED = ("case_file", "disclosure", "delivery")


def upgrade() -> None:
    """Go forward. The service seals the rows that are there when it starts: it has the key."""
    for table in _SEALED:
        op.add_column(table, sa.Column("row_seal", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Go back."""
    for table in _SEALED:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_column("row_seal")
