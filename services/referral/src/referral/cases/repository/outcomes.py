"""Outcomes in the database, by case and recipient."""

from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select, update

from common.database import Database, Prepared, Unit
from hubformats.case_reference import case_reference
from referral.cases.model.authority import AuthorisedCase, Opens
from referral.cases.model.case import VersionMoved
from referral.cases.model.outcome import AnswerState, Outcome, OutcomeState, Proof
from referral.tables import OutcomeRow, table_of

_OUTCOME: Final = table_of(OutcomeRow)
_HERE = (
    _OUTCOME.c.case_id == bindparam("b_case"),
    _OUTCOME.c.recipient == bindparam("b_recipient"),
)
_AS_KNOWN = (
    _OUTCOME.c.snapshot_version == bindparam("b_version"),
    _OUTCOME.c.state == bindparam("b_state"),
    _OUTCOME.c.proof == bindparam("b_proof"),
    _OUTCOME.c.earlier_promise == bindparam("b_earlier"),
    _OUTCOME.c.answer == bindparam("b_answer"),
    _OUTCOME.c.duty == bindparam("b_duty"),
)
_CHANGING = (
    "snapshot_version",
    "state",
    "clause",
    "proof",
    "earlier_promise",
    "reason_code",
    "changed_at",
    "answer",
    "duty",
)
_KNOWN = Prepared(select(_OUTCOME).where(*_HERE))
_NEW = Prepared(insert(_OUTCOME), *_OUTCOME.c.keys())
_CHANGED = Prepared(update(_OUTCOME).where(*_HERE, *_AS_KNOWN), *_CHANGING)

_UNNAMED = select(_OUTCOME.c.case_id, _OUTCOME.c.recipient).where(_OUTCOME.c.reference == "")
_UNNAMED = _UNNAMED.limit(500)
_NAME = update(_OUTCOME).where(*_HERE).values(reference=bindparam("b_reference"))


class SqlOutcomes:
    """Fulfils `cases.ports.Outcomes` inside one unit of work."""

    def __init__(self, connection: Connection, reference_secret: bytes) -> None:
        self._conn = connection
        self._secret = reference_secret

    def told(self, proof: AuthorisedCase) -> tuple[Outcome, ...]:
        """List permitted recipients only; a withheld one is sharing's record, not the referrer's
        to see.
        """
        proof.require(Opens.OUTCOMES)
        query = (
            select(_OUTCOME)
            .where(
                _OUTCOME.c.case_id == proof.case_id,
                _OUTCOME.c.state != OutcomeState.WITHHELD.value,
            )
            .order_by(_OUTCOME.c.first_at, _OUTCOME.c.recipient)
        )
        return tuple(_outcome(row) for row in self._conn.execute(query))

    def known(self, case_id: UUID, recipient: str) -> Outcome | None:
        """Look by case and recipient."""
        wanted = {"b_case": case_id, "b_recipient": recipient}
        row = _KNOWN.run(self._conn, wanted).first()
        return None if row is None else _outcome(row)

    def add(self, case_id: UUID, outcome: Outcome) -> None:
        """Insert the first state."""
        row = {
            "case_id": case_id,
            "recipient": outcome.recipient,
            "reference": case_reference(self._secret, outcome.recipient, case_id),
            "first_at": outcome.first_at,
        }
        _NEW.run(self._conn, {**row, **_values(outcome)})

    def replace(self, case_id: UUID, old: Outcome, new: Outcome) -> None:
        """Swap where the row still says what `old` says."""
        known = {
            "b_case": case_id,
            "b_recipient": old.recipient,
            "b_version": old.version,
            "b_state": old.state.value,
            "b_proof": _text(old.proof),
            "b_earlier": _text(old.earlier_promise),
            "b_answer": _text(old.answer),
            "b_duty": old.duty or "",
        }
        if _CHANGED.run(self._conn, {**known, **_values(new)}).rowcount != 1:
            raise VersionMoved


class OlderOutcomes:
    """A part that has nothing left to do once it started: it names cases told of before 0008.

    Each batch is a transaction of its own; if we crash between two, the next start goes on.
    """

    def __init__(self, database: Database, reference_secret: bytes) -> None:
        self._database = database
        self._secret = reference_secret

    async def start(self) -> None:
        """Fill in the references that are missing, before the service answers anybody."""
        while rows := await self._database.read(lambda conn: conn.execute(_UNNAMED).all()):
            named = [
                {
                    "b_case": row.case_id,
                    "b_recipient": row.recipient,
                    "b_reference": case_reference(self._secret, row.recipient, row.case_id),
                }
                for row in rows
            ]
            await self._database.write(partial(_name, named=named))

    async def stop(self) -> None:
        """Do nothing: nothing is left running."""


def _name(unit: Unit, named: list[dict[str, Any]]) -> None:
    unit.connection.execute(_NAME, named)


def _values(outcome: Outcome) -> dict[str, Any]:
    return {
        "snapshot_version": outcome.version,
        "state": outcome.state.value,
        "clause": outcome.clause or "",
        "proof": _text(outcome.proof),
        "earlier_promise": _text(outcome.earlier_promise),
        "reason_code": outcome.reason_code or "",
        "changed_at": outcome.changed_at,
        "answer": _text(outcome.answer),
        "duty": outcome.duty or "",
    }


def _text(word: Proof | AnswerState | None) -> str:
    return "" if word is None else word.value


def _outcome(row: Any) -> Outcome:
    return Outcome(
        recipient=row.recipient,
        version=row.snapshot_version,
        state=OutcomeState(row.state),
        changed_at=row.changed_at,
        first_at=row.first_at,
        clause=row.clause or None,
        proof=Proof(row.proof) if row.proof else None,
        reason_code=row.reason_code or None,
        earlier_promise=Proof(row.earlier_promise) if row.earlier_promise else None,
        answer=AnswerState(row.answer) if row.answer else None,
        duty=row.duty or None,
    )
