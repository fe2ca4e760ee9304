"""Writes the next revision of a service's Alembic history by comparing its tables with its newest
revision.

`python -m deploy.migrations referral "what changes for the reader"`; read what it wrote before
committing it.
"""

import importlib
import importlib.util
import re
import sys
import tempfile
from pathlib import Path
from typing import Final

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine

from common.database.schema import migrate, script_config

ROOT: Final = Path(__file__).parents[1]
SERVICES: Final = ("referral", "sharing", "audit", "identity", "portal")
_TEMPLATE: Final = '''"""{message}."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

import common.database.types

revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
{upgrade}


def downgrade() -> None:
    """Go back."""
{downgrade}
'''


def folder(service: str) -> Path:
    """Where a service keeps its history."""
    return ROOT / "services" / service / "src" / service / "migrations"


def tables(service: str) -> MetaData:
    """The tables a service expects."""
    importlib.import_module(
        f"{service}.wiring"
    )  # where a service may add the plumbing's tables to its own
    room = f"{service}.storage"
    storage = importlib.import_module(f"{room}.tables" if _is_folder(room) else room)
    return next(value for value in vars(storage).values() if isinstance(value, MetaData))


def _is_folder(room: str) -> bool:
    return importlib.util.find_spec(room) is not None and hasattr(
        importlib.import_module(room), "__path__"
    )


def write_next(service: str, message: str) -> Path | None:
    """Write the next revision and return its file, or None when there is nothing to change."""
    place = folder(service)
    (place / "versions").mkdir(parents=True, exist_ok=True)
    heads = ScriptDirectory.from_config(script_config(place)).get_heads()
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/{service}.db"
        if heads:
            migrate(url, place)
        with create_engine(url).connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "compare_type": True,
                    "render_as_batch": True,
                    "target_metadata": tables(service),
                },
            )
            script = produce_migrations(context, tables(service))
    if script.upgrade_ops is None or script.upgrade_ops.is_empty() or script.downgrade_ops is None:
        return None
    number = f"{len(list((place / 'versions').glob('[0-9]*.py'))) + 1:04}"
    text = _TEMPLATE.format(
        message=message.rstrip("."),
        revision=number,
        down=f'"{heads[0]}"' if heads else "None",
        upgrade="    " + render_python_code(script.upgrade_ops, render_as_batch=True),
        downgrade="    " + render_python_code(script.downgrade_ops, render_as_batch=True),
    )
    for name in ("postgresql", "Text", "common.database.types"):
        if not re.search(rf"(?<!import ){re.escape(name)}[.(]", text):
            text = re.sub(rf"^(from \S+ )?import {re.escape(name)}\n", "", text, flags=re.MULTILINE)
    # SQLModel's own string type is a plain one; a history must not depend on the library that wrote
    # the tables.
    text = text.replace("sqlmodel.sql.sqltypes.AutoString", "sa.String")
    file = (
        place
        / "versions"
        / f"{number}_{re.sub(r'[^a-z0-9]+', '_', message.lower()).strip('_')[:40]}.py"
    )
    file.write_text(text, "utf-8")
    return file


def main() -> int:
    """Command line."""
    if len(sys.argv) != 3 or sys.argv[1] not in SERVICES:
        sys.stderr.write(
            f'usage: python -m deploy.migrations {"|".join(SERVICES)} "what changes"\n'
        )
        return 2
    written = write_next(sys.argv[1], sys.argv[2])
    sys.stdout.write(f"{written}\n" if written else "nothing to change\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
