"""A second look is told of when it is filed, and an escalated one waits for the next person."""

import sqlalchemy as sa
from alembic import op

import common.database.types

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward. What was escalated waits again, for another than who escalated it."""
    with op.batch_alter_table("second_look", schema=None) as batch_op:
        token = sa.String(length=64)
        batch_op.add_column(sa.Column("escalated_by", token, server_default="", nullable=False))
        moment = common.database.types.UtcDateTime(timezone=True)
        batch_op.add_column(sa.Column("told_at", moment, nullable=True))
    look = sa.table("second_look", *map(sa.column, ("state", "owner", "escalated_by")))
    open_again = look.update().where(look.c.state == "escalated")
    op.execute(open_again.values(escalated_by=look.c.owner, owner=""))


def downgrade() -> None:
    """Go back."""
    look = sa.table("second_look", *map(sa.column, ("state", "owner", "escalated_by")))
    closed = look.update().where(look.c.state == "escalated")
    op.execute(closed.values(owner=look.c.escalated_by))
    acted = look.update().where(look.c.state == "acted_on")
    op.execute(acted.values(state="escalated"))
    with op.batch_alter_table("second_look", schema=None) as batch_op:
        for name in ("escalated_by", "told_at"):
            batch_op.drop_column(name)
