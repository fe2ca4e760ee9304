"""Key sets that the services sign for their own opening keys."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "service_key_set",
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("key_set", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_service_key_set"),
    )


def downgrade() -> None:
    """Take it away; every service publishes again."""
    op.drop_table("service_key_set")
