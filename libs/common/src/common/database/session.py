"""SQLModel sessions inside a unit of work, for what people edit; what every request runs is
`Prepared`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import declared_attr
from sqlmodel import Session, SQLModel

from common.database.unit import Unit


@contextmanager
def session(unit: Unit) -> Iterator[Session]:
    """Open a session on the unit's connection; its end writes what changed.

    An exception undoes the session's SQL alone, so a caller may catch it and go on. Inside
    `unit.attempt()` open the session within it. A row must not leave the work function: return
    values.

    Raises IntegrityError, and StaleDataError for a row that another one changed.
    """
    # Any other mode lets one failed flush roll back the transaction that up to 128 callers share.
    opened = Session(
        unit.connection,
        join_transaction_mode="create_savepoint",
        autoflush=False,
        expire_on_commit=False,
    )
    try:
        yield opened
        opened.commit()
    finally:
        opened.close()


class Versioned(SQLModel):
    """Count the changes of a row in `version`: 1 at first, one more with each changed row.

    Compare a caller's version with it, never assign one: SQLAlchemy would believe it. Core and
    `Prepared` statements do not count.
    """

    version: int = 1

    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805  SQLAlchemy calls it with the class
        """Refuse the change of a row that has another version by now."""
        return {"version_id_col": cls.__table__.c.version}  # type: ignore[attr-defined]
