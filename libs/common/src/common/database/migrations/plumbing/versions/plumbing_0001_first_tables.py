"""Outbox, inbox, audit trail, answers and proofs: the tables every service stands on."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

import common.database.types

revision = "plumbing_0001"
down_revision = None
branch_labels = ("plumbing",)
depends_on = None


def upgrade() -> None:
    """Go forward; a database that had these tables before they were shared keeps them."""
    if sa.inspect(op.get_bind()).has_table("outbox"):
        return
    op.create_table(
        "audit_part_key",
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.String(length=7), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("destroyed_at", common.database.types.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("handle", name=op.f("pk_audit_part_key")),
    )
    with op.batch_alter_table("audit_part_key", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_audit_part_key_record_id"), ["record_id"], unique=False
        )
    op.create_table(
        "audit_part_subject",
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.PrimaryKeyConstraint("token", "handle", name=op.f("pk_audit_part_subject")),
    )
    op.create_table(
        "audit_pending",
        sa.Column("record_id", sa.Uuid(), nullable=False),
        sa.Column("src", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.String(length=43), nullable=False),
        sa.Column("created_at", common.database.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("receipted_at", common.database.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("leaf", sa.LargeBinary(), nullable=True),
        sa.Column("log_index", sa.BigInteger(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.Column("rejected", sa.String(length=60), nullable=True),
        sa.PrimaryKeyConstraint("record_id", name=op.f("pk_audit_pending")),
        sa.UniqueConstraint("src", "epoch", "seq", name=op.f("uq_audit_pending_src_epoch_seq")),
    )
    with op.batch_alter_table("audit_pending", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_pending_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(
            "ix_audit_pending_open",
            ["created_at"],
            unique=False,
            postgresql_where=sa.text("receipted_at IS NULL AND rejected IS NULL"),
            sqlite_where=sa.text("receipted_at IS NULL AND rejected IS NULL"),
        )
    op.create_table(
        "audit_producer",
        sa.Column("src", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("created_at", common.database.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column(
            "epoch_began_at", common.database.types.UtcDateTime(timezone=True), nullable=False
        ),
        sa.PrimaryKeyConstraint("src", name=op.f("pk_audit_producer")),
    )
    op.create_table(
        "dpop_proof",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", common.database.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dpop_proof")),
    )
    with op.batch_alter_table("dpop_proof", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dpop_proof_expires_at"), ["expires_at"], unique=False)
    op.create_table(
        "idempotent_answer",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", common.database.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotent_answer")),
    )
    with op.batch_alter_table("idempotent_answer", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_idempotent_answer_expires_at"), ["expires_at"], unique=False
        )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.String(length=100), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("at", common.database.types.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "source", "event_id", name=op.f("pk_inbox")),
    )
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_inbox_at"), ["at"], unique=False)
    op.create_table(
        "inbox_quarantine",
        sa.Column("consumer", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=43), nullable=False),
        sa.Column("topic", sa.String(length=200), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(length=60), nullable=False),
        sa.Column("authentic", sa.Boolean(name="authentic"), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=True),
        sa.Column("stream", sa.String(length=200), nullable=True),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("outbox_id", sa.Uuid(), nullable=False),
        sa.Column("at", common.database.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("replayed_at", common.database.types.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("consumer", "digest", name=op.f("pk_inbox_quarantine")),
    )
    with op.batch_alter_table("inbox_quarantine", schema=None) as batch_op:
        batch_op.create_index(
            "ix_inbox_quarantine_holding",
            ["key"],
            unique=False,
            postgresql_where=sa.text("authentic AND replayed_at IS NULL"),
            sqlite_where=sa.text("authentic AND replayed_at IS NULL"),
        )
    op.create_table(
        "inbox_stream",
        sa.Column("consumer", sa.String(length=100), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("stream", sa.String(length=200), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "source", "stream", name=op.f("pk_inbox_stream")),
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.String(length=200), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column(
            "headers",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("stream", sa.String(length=200), nullable=False),
        sa.Column("created_at", common.database.types.UtcDateTime(timezone=True), nullable=False),
        sa.Column("not_before", common.database.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("sent_at", common.database.types.UtcDateTime(timezone=True), nullable=True),
        sa.Column("confirmed_at", common.database.types.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_outbox")),
        sa.UniqueConstraint("id", name=op.f("uq_outbox_id")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_kept",
            ["topic", "seq"],
            unique=False,
            postgresql_where=sa.text("body IS NOT NULL"),
            sqlite_where=sa.text("body IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_outbox_waiting",
            ["seq"],
            unique=False,
            postgresql_where=sa.text("sent_at IS NULL"),
            sqlite_where=sa.text("sent_at IS NULL"),
        )
    op.create_table(
        "stream_sequence",
        sa.Column("sender", sa.String(length=100), nullable=False),
        sa.Column("stream", sa.String(length=200), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sender", "stream", name=op.f("pk_stream_sequence")),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("stream_sequence")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_waiting",
            postgresql_where=sa.text("sent_at IS NULL"),
            sqlite_where=sa.text("sent_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_outbox_kept",
            postgresql_where=sa.text("body IS NOT NULL"),
            sqlite_where=sa.text("body IS NOT NULL"),
        )
    op.drop_table("outbox")
    op.drop_table("inbox_stream")
    with op.batch_alter_table("inbox_quarantine", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_inbox_quarantine_holding",
            postgresql_where=sa.text("authentic AND replayed_at IS NULL"),
            sqlite_where=sa.text("authentic AND replayed_at IS NULL"),
        )
    op.drop_table("inbox_quarantine")
    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_inbox_at"))
    op.drop_table("inbox")
    with op.batch_alter_table("idempotent_answer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotent_answer_expires_at"))
    op.drop_table("idempotent_answer")
    with op.batch_alter_table("dpop_proof", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dpop_proof_expires_at"))
    op.drop_table("dpop_proof")
    op.drop_table("audit_producer")
    with op.batch_alter_table("audit_pending", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_audit_pending_open",
            postgresql_where=sa.text("receipted_at IS NULL AND rejected IS NULL"),
            sqlite_where=sa.text("receipted_at IS NULL AND rejected IS NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_audit_pending_batch_id"))
    op.drop_table("audit_pending")
    op.drop_table("audit_part_subject")
    with op.batch_alter_table("audit_part_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_part_key_record_id"))
    op.drop_table("audit_part_key")
