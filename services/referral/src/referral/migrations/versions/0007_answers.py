"""The referrer hears what a recipient did with what was taken back or corrected."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_WORDS = (("answer", 30), ("duty", 40))


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        for name, length in _WORDS:
            word = sa.String(length=length)
            batch_op.add_column(sa.Column(name, word, server_default="", nullable=False))


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("outcome", schema=None) as batch_op:
        for name, _ in _WORDS:
            batch_op.drop_column(name)
