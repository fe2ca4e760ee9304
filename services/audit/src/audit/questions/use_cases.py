"""Answering auditors: the question is recorded first, with its purpose.

Only then does anybody see a row.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from audit.context import Context, actor_of
from audit.questions.model import (
    AuthorisedLook,
    Entitlements,
    Filter,
    Found,
    Purpose,
    Question,
    asker_of,
    micros_of,
)
from audit.questions.ports import QuestionTx, QuestionView
from common.access import Granted
from common.attempts import Answer
from hubformats.audit_record import Account, AuditEntry
from hubformats.case_reference import normalised_reference
from hubformats.ids import uuid7


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it came in.

    `case_reference`, `actor` and `subject` are what a person typed; none of them is stored.
    """

    purpose: Purpose
    justification: str
    filter: Filter
    case_reference: str | None = None
    actor: str | None = None
    subject: UUID | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """Records questions of this installation's auditors.

    `show` makes the body of the answer.
    """

    context: Context
    entitlements: Entitlements
    show: Callable[[Question], dict[str, object]]

    def ask(self, tx: QuestionTx, granted: Granted, asked: Asked) -> Answer:
        """Record the question in the log and keep it.

        Its answers can be read once this transaction is durable.

        Raises NotEntitled.
        """
        sight = self.entitlements.sight(granted)
        reference = normalised_reference(asked.case_reference) if asked.case_reference else ""
        tx.record(
            AuditEntry(
                operation="audit_query",
                outcome="done",
                actor=actor_of(granted),
                case_references=(reference,) if reference else (),
                resource_type="audit_log",
                purpose=asked.purpose,
                justification_code="stated",
                rules=self.entitlements.rules_for(granted).version,
                account=Account(text=asked.justification),
            )
        )
        question = Question(
            id=uuid7(),
            asker=asker_of(granted),
            agency=sight.agency,
            purpose=asked.purpose,
            filter=_tokenised(asked, reference, self.context),
            size=tx.log_size(),
            asked_at=micros_of(granted),
        )
        tx.questions.keep(question)
        return Answer(201, self.show(question), {"Location": f"/v1/queries/{question.id}"})


def answers(
    view: QuestionView, look: AuthorisedLook, below: int | None, limit: int
) -> tuple[list[Found], int | None]:
    """Give one page of what a question finds, newest first, and where the next page begins."""
    size = look.question.size
    found = view.entries.search(look, size if below is None else min(below, size), limit + 1)
    more = len(found) > limit
    return found[:limit], found[limit - 1].index if more else None


def record_page(tx: QuestionTx, granted: Granted, look: AuthorisedLook, below: int) -> None:
    """Record that a further page is read, before it is shown.

    The question's own entry stands for the first page.
    """
    _record_look(tx, granted, look, _Place("audit_log", below, "page"))


def record_opening(tx: QuestionTx, granted: Granted, look: AuthorisedLook, index: int) -> None:
    """Record that an entry is opened, before it is shown.

    One that is not there, or not theirs, is recorded alike.
    """
    _record_look(tx, granted, look, _Place("audit_entry", index, "entry"))


@dataclass(frozen=True, slots=True)
class _Place:
    what: str
    index: int
    code: str


def _record_look(tx: QuestionTx, granted: Granted, look: AuthorisedLook, place: _Place) -> None:
    tx.record(
        AuditEntry(
            operation="audit_query",
            outcome="done",
            actor=actor_of(granted),
            resource_type=place.what,
            resource_version=place.index,
            purpose=look.question.purpose,
            justification_code=place.code,
        )
    )


def _tokenised(asked: Asked, reference: str, context: Context) -> Filter:
    actor = asked.actor
    if actor is not None and "|" not in actor:
        actor = f"{context.issuer}|{actor}"
    return replace(
        asked.filter,
        case=context.token("case", reference) if reference else None,
        subject=context.token("subject", asked.subject.hex) if asked.subject else None,
        actor=context.token("actor", actor) if actor else None,
    )
