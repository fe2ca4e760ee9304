"""What a sign-in gave is bound by a seal over its row; rows of before count no more."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the seals. Whoever is signed in signs in once more."""
    for table in ("authorization_code", "token_family"):
        op.add_column(table, sa.Column("row_seal", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    """Take them away."""
    for table in ("authorization_code", "token_family"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("row_seal")
