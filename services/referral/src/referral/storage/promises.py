"""What the referrer is told of an emergency release whose proof did not come: the newest version's
word, or an earlier one's."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, select, update

from referral.ports import Outcome
from referral.storage.tables import OutcomeRow, table_of

_OUTCOME = table_of(OutcomeRow)
UNKEPT: Final = frozenset({"overdue", "broken"})
_OPEN: Final = frozenset({"promised", "overdue"})


def unkept(
    connection: Connection, case_id: UUID, recipient: str, version: int, standing: str
) -> None:
    """A release is told before its promise can fail, and in this order, so there is a row of this
    or of a later version.
    """
    here = (_OUTCOME.c.case_id == case_id, _OUTCOME.c.recipient == recipient)
    shown = (_OUTCOME.c.snapshot_version, _OUTCOME.c.proof, _OUTCOME.c.earlier_promise)
    row = connection.execute(select(*shown).where(*here)).one()
    if row.snapshot_version == version and row.proof in _OPEN:
        connection.execute(update(_OUTCOME).where(*here).values(proof=standing))
    elif row.snapshot_version > version and row.earlier_promise != "broken":
        connection.execute(update(_OUTCOME).where(*here).values(earlier_promise=standing))


def told_before(row: Any, outcome: Outcome) -> dict[str, str]:
    """What a newer version must not take from the referrer: that there is no proof of what left
    under an older one.
    """
    passed = (
        row.snapshot_version < outcome.snapshot_version
        and row.proof in UNKEPT
        and row.earlier_promise != "broken"
    )
    return {"earlier_promise": row.proof} if passed else {}


def kept(row: Any, outcome: Outcome) -> dict[str, str]:
    """The proof of what left on a promise came after all; a promise that is broken stays so."""
    if outcome.proof != "proven":
        return {}
    if row.snapshot_version == outcome.snapshot_version and row.proof in _OPEN:
        return {"proof": "proven"}
    late = row.snapshot_version > outcome.snapshot_version and row.earlier_promise == "overdue"
    return {"earlier_promise": ""} if late else {}
