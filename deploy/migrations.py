"""Write the next revision of a branch by comparing its tables with its newest revision.

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
from alembic.operations.ops import MigrationScript
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine

from common.database import migrate, new_metadata, shared_histories
from common.database.schema import PLUMBING, SUBJECTS, script_config
from common.sealed import subject_key_table
from common.web.frame import frame_tables

ROOT: Final = Path(__file__).parents[1]
SERVICES: Final = ("referral", "sharing", "audit", "identity", "portal")
SHARED: Final = {"plumbing": PLUMBING, "subjects": SUBJECTS}
BRANCHES: Final = (*SERVICES, *SHARED)
_TEMPLATE: Final = '''"""{message}."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import Text
from sqlalchemy.dialects import postgresql

import common.database.types

revision = "{revision}"
down_revision = {down}
branch_labels = {labels}
depends_on = None


def upgrade() -> None:
    """Go forward."""
{upgrade}


def downgrade() -> None:
    """Go back."""
{downgrade}
'''


def folder(branch: str) -> Path:
    """Return the folder where a service, or a shared branch, keeps its history."""
    return SHARED.get(branch) or ROOT / "services" / branch / "src" / branch / "migrations"


def histories(service: str) -> tuple[Path, ...]:
    """List the histories a service's database goes through: its own and the shared ones."""
    return folder(service), *shared_histories(tables(service))


def tables(branch: str) -> MetaData:
    """Return the tables a service expects, shared ones included, or those of a shared branch."""
    if branch in SHARED:
        metadata = new_metadata()
        (frame_tables if branch == "plumbing" else subject_key_table)(metadata)
        return metadata
    # A service may add the plumbing's tables to its own there.
    importlib.import_module(f"{branch}.wiring")
    for name in (f"{branch}.tables", f"{branch}.storage.tables", f"{branch}.storage"):
        if _exists(name):
            module = vars(importlib.import_module(name))
            return next(value for value in module.values() if isinstance(value, MetaData))
    raise LookupError(f"{branch} has no tables")


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def write_next(branch: str, message: str) -> Path | None:
    """Write a branch's next revision and return its file, or None when nothing is to change."""
    versions = folder(branch) / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    heads = ScriptDirectory.from_config(script_config(folder(branch))).get_heads()
    script = _changes(branch, migrated=bool(heads))
    if script.upgrade_ops is None or script.upgrade_ops.is_empty() or script.downgrade_ops is None:
        return None
    # Ids are unique over all folders: of two alike, Alembic silently loses one's history.
    prefix = f"{branch}_" if branch in SHARED else ""
    number = f"{prefix}{len(list(versions.glob('*[0-9]_*.py'))) + 1:04}"
    text = _TEMPLATE.format(
        message=message.rstrip("."),
        revision=number,
        down=f'"{heads[0]}"' if heads else "None",
        labels="None" if heads else f'("{branch}",)',
        upgrade="    " + render_python_code(script.upgrade_ops, render_as_batch=True),
        downgrade="    " + render_python_code(script.downgrade_ops, render_as_batch=True),
    )
    for unused in ("postgresql", "Text", "common.database.types"):
        if not re.search(rf"(?<!import ){re.escape(unused)}[.(]", text):
            line = rf"^(from \S+ )?import {re.escape(unused)}\n"
            text = re.sub(line, "", text, flags=re.MULTILINE)
    # SQLModel's own string type is a plain one; a history must not depend on the library that wrote
    # the tables.
    text = text.replace("sqlmodel.sql.sqltypes.AutoString", "sa.String")
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")[:40]
    file = versions / f"{number}_{slug}.py"
    file.write_text(text, "utf-8")
    return file


def _changes(branch: str, *, migrated: bool) -> MigrationScript:
    """Find what the branch's tables have and its newest revision has not."""
    others = {name for each in SHARED if each != branch for name in tables(each).tables}
    with tempfile.TemporaryDirectory() as scratch:
        url = f"sqlite:///{scratch}/{branch}.db"
        if migrated:
            migrate(url, folder(branch))
        with create_engine(url).connect() as connection:
            options = {
                "compare_type": True,
                "render_as_batch": True,
                "target_metadata": tables(branch),
                "include_object": lambda _o, name, kind, *_: kind != "table" or name not in others,
            }
            context = MigrationContext.configure(connection, opts=options)
            return produce_migrations(context, tables(branch))


def main() -> int:
    """Run the command line."""
    if len(sys.argv) != 3 or sys.argv[1] not in BRANCHES:
        sys.stderr.write(
            f'usage: python -m deploy.migrations {"|".join(BRANCHES)} "what changes"\n'
        )
        return 2
    written = write_next(sys.argv[1], sys.argv[2])
    sys.stdout.write(f"{written}\n" if written else "nothing to change\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
