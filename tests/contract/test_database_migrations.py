"""One history of migrations for both dialects, and a way to see that tables and history agree."""

from pathlib import Path

import pytest
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, MetaData, String, Table

from common.database import Database, UtcDateTime, UuidType, ensure_schema, migrate, new_metadata
from hubformats.clock import SystemClock
from tests.support.databases import database_url
from tests.support.schemas import schema_drift

__all__ = ["database_url"]

FIRST = '''"""First tables."""
import sqlalchemy as sa
from alembic import op
from common.database import UtcDateTime

revision, down_revision = "0001", None

def upgrade():
    op.create_table("person", sa.Column("id", sa.Uuid(), nullable=False), sa.Column("at", UtcDateTime(), nullable=True),
                    sa.PrimaryKeyConstraint("id", name="pk_person"))
'''
SECOND = '''"""A word that must not be empty, and links."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"

def upgrade():
    with op.batch_alter_table("person") as batch:
        batch.add_column(sa.Column("word", sa.String(20), nullable=False, server_default="x"))
        batch.create_check_constraint("word", "word <> ''")
        batch.create_index("ix_person_word", ["word"])
    op.create_table("link", sa.Column("person_id", sa.Uuid(), nullable=False), sa.PrimaryKeyConstraint("person_id", name="pk_link"),
                    sa.ForeignKeyConstraint(["person_id"], ["person.id"], name="fk_link_person_id_person"))
'''
BROKEN = '''"""Fails halfway."""
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"

def upgrade():
    op.create_table("half", sa.Column("id", sa.Uuid()))
    op.execute("SELECT * FROM nowhere")
'''


def described() -> MetaData:
    metadata = new_metadata()
    Table(
        "person",
        metadata,
        Column("id", UuidType, primary_key=True),
        Column("at", UtcDateTime),
        Column("word", String(20), nullable=False, server_default="x"),
        CheckConstraint("word <> ''", name="word"),
        Index("ix_person_word", "word"),
    )
    Table(
        "link", metadata, Column("person_id", UuidType, ForeignKey("person.id"), primary_key=True)
    )
    return metadata


@pytest.fixture
def history(tmp_path: Path) -> Path:
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_first.py").write_text(FIRST)
    (versions / "0002_second.py").write_text(SECOND)
    return versions.parent


def test_the_history_leads_to_the_described_tables_and_running_it_again_changes_nothing(
    database_url: str, history: Path
) -> None:
    migrate(database_url, history, target="0001")
    assert schema_drift(database_url, described())
    migrate(database_url, history)
    migrate(database_url, history)
    assert schema_drift(database_url, described()) == []


def test_a_migration_that_fails_leaves_the_old_schema(database_url: str, history: Path) -> None:
    migrate(database_url, history)
    (history / "versions" / "0003_broken.py").write_text(BROKEN)
    with pytest.raises(Exception, match="nowhere"):
        migrate(database_url, history)
    assert schema_drift(database_url, described()) == []


async def test_created_tables_and_migrated_tables_are_the_same(database_url: str) -> None:
    database = Database(database_url, clock=SystemClock(), name="test")
    await database.start()
    await ensure_schema(database, described())
    await database.stop()
    assert schema_drift(database_url, described()) == []
