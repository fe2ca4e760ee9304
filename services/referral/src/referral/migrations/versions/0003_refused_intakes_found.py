"""A refused intake is found by its place in the list and by either mark without going through all
of its agency's."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_FOUND_BY = {
    "listed": ["agency", "at", "id"],
    "key": ["agency", "key_mark"],
    "reference": ["agency", "reference_mark"],
}


def upgrade() -> None:
    """Go forward."""
    with op.batch_alter_table("refused_intake", schema=None) as batch_op:
        batch_op.drop_index("ix_refused_intake_agency")
        for name, columns in _FOUND_BY.items():
            batch_op.create_index(f"ix_refused_intake_{name}", columns, unique=False)


def downgrade() -> None:
    """Go back."""
    with op.batch_alter_table("refused_intake", schema=None) as batch_op:
        for name in _FOUND_BY:
            batch_op.drop_index(f"ix_refused_intake_{name}")
        batch_op.create_index("ix_refused_intake_agency", ["agency"], unique=False)
