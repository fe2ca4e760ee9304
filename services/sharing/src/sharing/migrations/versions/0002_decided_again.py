"""A version may be decided on again, and whom a suspension passed over stands in a table of its
own."""

import sqlalchemy as sa
from alembic import op

import common.database.types

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_FIRST = ("case_id", "snapshot_version", "agreement_hash")
_AGAIN = ("case_id", "snapshot_version", "ordinal")


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "passed_over",
        sa.Column("agency", sa.String(length=64), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("since", common.database.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("agency", "case_id", name=op.f("pk_passed_over")),
    )
    with op.batch_alter_table("passed_over", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_passed_over_case_id"), ["case_id"], unique=False)
    _let_go()
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.add_column(sa.Column("ordinal", sa.Integer(), server_default="0", nullable=False))
        batch_op.drop_constraint(op.f("uq_decision_" + "_".join(_FIRST)), type_="unique")
        batch_op.create_unique_constraint(op.f("uq_decision_" + "_".join(_AGAIN)), list(_AGAIN))
    _join()


def downgrade() -> None:
    """Go back; refused by the database while a version has two decisions."""
    _let_go()
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("uq_decision_" + "_".join(_AGAIN)), type_="unique")
        batch_op.create_unique_constraint(op.f("uq_decision_" + "_".join(_FIRST)), list(_FIRST))
        batch_op.drop_column("ordinal")
    _join()
    with op.batch_alter_table("passed_over", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_passed_over_case_id"))
    op.drop_table("passed_over")


def _let_go() -> None:
    # SQLite changes a table by making it anew, and will not drop one that rows refer to.
    with op.batch_alter_table("disclosure", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("fk_disclosure_decision_id_decision"), type_="foreignkey")


def _join() -> None:
    with op.batch_alter_table("disclosure", schema=None) as batch_op:
        batch_op.create_foreign_key(
            op.f("fk_disclosure_decision_id_decision"), "decision", ["decision_id"], ["id"]
        )
