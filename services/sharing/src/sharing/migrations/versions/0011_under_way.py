"""What waits for the broker is looked at again by its event's id."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_index("ix_delivery_event_id", "delivery", ["event_id"], unique=False)


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_delivery_event_id", "delivery")
