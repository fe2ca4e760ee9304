"""The third sealed part of a record, and the reason that is held back from the agency concerned."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NEW = ("account_sealed", "held")


def upgrade() -> None:
    """Go forward; records of before have neither."""
    for name in _NEW:
        op.add_column("entry", sa.Column(name, sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    """Go back; what was sealed in the third part is lost to the log, not to its proofs."""
    for name in _NEW:
        op.drop_column("entry", name)
