"""Indexes by which settled messages and receipted records are forgotten without a scan."""

import sqlalchemy as sa
from alembic import op

revision = "plumbing_0002"
down_revision = "plumbing_0001"
branch_labels = None
depends_on = None

_SETTLED = sa.text("body IS NULL")
_DONE = sa.text("receipted_at IS NOT NULL")


def upgrade() -> None:
    """Go forward; a database whose plumbing is older than this history may have them."""
    op.create_index(
        "ix_outbox_settled",
        "outbox",
        ["sent_at"],
        unique=False,
        if_not_exists=True,
        sqlite_where=_SETTLED,
        postgresql_where=_SETTLED,
    )
    op.create_index(
        "ix_audit_pending_done",
        "audit_pending",
        ["receipted_at"],
        unique=False,
        if_not_exists=True,
        sqlite_where=_DONE,
        postgresql_where=_DONE,
    )


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_audit_pending_done", "audit_pending")
    op.drop_index("ix_outbox_settled", "outbox")
