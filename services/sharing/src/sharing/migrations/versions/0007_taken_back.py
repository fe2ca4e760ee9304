"""What was taken back or corrected after it was opened asks for an answer, with a clock."""

import sqlalchemy as sa
from alembic import op

import common.database.types

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TIMES = ("opened_at", "withdrawn_at", "answer_due", "answered_at", "unanswered_at")
_WORDS = (("answer", 30), ("duty", 40))


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("disclosure", schema=None) as batch_op:
        for name in _TIMES:
            moment = common.database.types.UtcDateTime(timezone=True)
            batch_op.add_column(sa.Column(name, moment, nullable=True))
        for name, length in _WORDS:
            word = sa.String(length=length)
            batch_op.add_column(sa.Column(name, word, server_default="", nullable=False))
        batch_op.create_index("ix_disclosure_answer_due", ["answer_due"], unique=False)


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("disclosure", schema=None) as batch_op:
        batch_op.drop_index("ix_disclosure_answer_due")
        for name in (*_TIMES, *(name for name, _ in _WORDS)):
            batch_op.drop_column(name)
