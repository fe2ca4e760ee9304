"""Each item of the second-look queue is bound by a seal, with who took part."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. The service seals the rows that are there when it starts: it has the key."""
    op.add_column("second_look", sa.Column("row_seal", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("second_look", schema=None) as batch_op:
        batch_op.drop_column("row_seal")
