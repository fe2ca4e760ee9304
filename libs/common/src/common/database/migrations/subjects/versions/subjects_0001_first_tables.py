"""The wrapped keys of those whose data a service seals."""

import sqlalchemy as sa
from alembic import op

revision = "subjects_0001"
down_revision = None
branch_labels = ("subjects",)
depends_on = None


def upgrade() -> None:
    """Go forward; a database that had these tables before they were shared keeps them."""
    if sa.inspect(op.get_bind()).has_table("subject_key"):
        return
    op.create_table(
        "subject_key",
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kek_id", sa.String(length=64), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("destroyed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("subject_id", "version", name=op.f("pk_subject_key")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("subject_key")
