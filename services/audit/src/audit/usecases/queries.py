"""Answering auditors: the question is recorded first, with its purpose; only then does anybody see
a row."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from audit.domain import Filter, Purpose, Rules, rules_on
from audit.permissions import Mandates, Sight, sight
from audit.ports import Found, QueryTx, QueryView, Question
from common.access import Granted
from common.attempts import Answer, Attempt
from common.problems import Problem, define
from hubformats.audit_record import Actor, AuditEntry
from hubformats.case_reference import normalised_reference
from hubformats.ids import uuid7

define(
    "purpose-required",
    403,
    "No purpose was stated",
    "Ask with POST /v1/queries first, stating one of the permitted purposes.",
)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the query use cases know of this installation."""

    mandates: Mandates
    issuer: str
    index_secret: bytes
    area: str
    rules: tuple[Rules, ...]

    def holds_since(self, granted: Granted) -> int:
        """Microseconds: a purpose stated before this moment holds no more, by the clock in force
        today. Raises RulesUnknown.
        """
        holds = rules_on(self.rules, self.area, granted.at.date()).purpose_holds
        return _micros(granted) - int(holds.total_seconds() * 1_000_000)

    def sight(self, granted: Granted) -> Sight:
        """What the caller may see. Raises Problem `forbidden`."""
        return sight(granted.principal, self.mandates, granted.at.date())

    def token(self, kind: str, value: str) -> bytes:
        """The search token that producers put beside a record: HMAC-SHA256(index secret, kind ‖ 0 ‖
        value), 16 bytes.
        """
        return hmac.digest(self.index_secret, f"{kind}\0{value}".encode(), sha256)[:16]


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


def ask(
    tx: QueryTx,
    attempt: Attempt,
    granted: Granted,
    desk: Desk,
    asked: Asked,
    show: Callable[[Question], dict[str, object]],
) -> Answer:
    """Record the question in the log and keep it; its answers can be read once this transaction is
    durable.
    """
    seen = desk.sight(granted)
    reference = normalised_reference(asked.case_reference) if asked.case_reference else ""

    def work() -> Answer:
        entry = AuditEntry(
            operation="audit_query",
            outcome="done",
            actor=actor_of(granted),
            case_references=(reference,) if reference else (),
            resource_type="audit_log",
            purpose=asked.purpose,
            justification_code="stated",
            detail={"justification": asked.justification},
        )
        tx.record(entry)
        question = Question(
            id=uuid7(),
            asker=asker_of(granted),
            agency=seen.agency,
            purpose=asked.purpose,
            filter=_tokenised(asked, reference, desk),
            size=tx.log_size(),
            asked_at=_micros(granted),
        )
        tx.keep(question)
        return Answer(201, show(question), {"Location": f"/v1/queries/{question.id}"})

    return tx.once(attempt, work)


def question_now(view: QueryView, granted: Granted, desk: Desk, question_id: UUID) -> Question:
    """The caller's own question while its purpose holds.

    Raises Problem `not-found`, `purpose-required`.

    The caller's sight is taken anew: a mandate that ended since the question was asked shows
    nothing.
    """
    seen = desk.sight(granted)
    question = view.question(question_id)
    if question is None or question.asker != asker_of(granted) or question.agency != seen.agency:
        raise Problem("not-found")
    if question.asked_at < desk.holds_since(granted):
        raise Problem("purpose-required")
    return question


def answers(
    view: QueryView, granted: Granted, desk: Desk, question_id: UUID, below: int | None, limit: int
) -> tuple[list[Found], int | None]:
    """One page of what a question finds, newest first, and where the next page begins.

    Raises as `question_now`.
    """
    question = question_now(view, granted, desk, question_id)
    found = view.search(
        question, question.size if below is None else min(below, question.size), limit + 1
    )
    more = len(found) > limit
    return found[:limit], found[limit - 1].index if more else None


def open_page(tx: QueryTx, granted: Granted, question: Question, below: int) -> None:
    """Record that a further page is read, before it is shown; the question's own entry stands for
    the first.
    """
    _looked(tx, granted, question.purpose, "audit_log", below, "page")


def purpose_now(view: QueryView, granted: Granted, desk: Desk) -> Purpose:
    """The purpose this caller last stated and that still holds.

    Raises Problem `purpose-required`.
    """
    question = view.latest_question(asker_of(granted), desk.holds_since(granted))
    if question is None:
        raise Problem("purpose-required")
    return question.purpose


def open_entry(tx: QueryTx, granted: Granted, purpose: Purpose, index: int) -> None:
    """Record that the entry `index` is opened, before it is shown.

    One that is not there, or not theirs, is recorded alike.
    """
    _looked(tx, granted, purpose, "audit_entry", index, "entry")


def _looked(
    tx: QueryTx, granted: Granted, purpose: Purpose, what: str, place: int, code: str
) -> None:
    tx.record(
        AuditEntry(
            operation="audit_query",
            outcome="done",
            actor=actor_of(granted),
            resource_type=what,
            resource_version=place,
            purpose=purpose,
            justification_code=code,
        )
    )


def rebuild(tx: QueryTx, granted: Granted) -> int:
    """Make the search rows anew from the entries; how many entries were indexed.

    The act is an entry itself.
    """
    tx.record(
        AuditEntry(
            operation="config_change",
            outcome="done",
            actor=actor_of(granted),
            resource_type="search_rows",
        )
    )
    return tx.rebuild_index()


def entry(view: QueryView, granted: Granted, desk: Desk, index: int) -> Found:
    """One entry. Raises Problem `not-found`, also for an entry of another agency."""
    found = view.entry(index, desk.sight(granted).agency)
    if found is None:
        raise Problem("not-found")
    return found


def actor_of(granted: Granted) -> Actor:
    """The caller as the audit trail names it."""
    who = granted.principal
    role = "system" if who.kind == "system" else ",".join(sorted(who.roles)) or "person"
    return Actor(
        subject=f"{who.issuer}|{who.subject}", agency=who.agency, role=role, acr=who.acr or ""
    )


def asker_of(granted: Granted) -> str:
    """What ties a question to the one who asked it."""
    return f"{granted.principal.issuer}|{granted.principal.subject}|{granted.principal.client_id}"


def _tokenised(asked: Asked, reference: str, desk: Desk) -> Filter:
    case = desk.token("case", reference) if reference else None
    subject = desk.token("subject", asked.subject.hex) if asked.subject else None
    whole = (
        asked.actor if asked.actor is None or "|" in asked.actor else f"{desk.issuer}|{asked.actor}"
    )
    actor = desk.token("actor", whole) if whole else None
    rest = asked.filter
    return Filter(
        case,
        actor,
        subject,
        rest.recipient,
        rest.delivery,
        rest.operation,
        rest.since,
        rest.until,
        rest.emergency,
    )


def _micros(granted: Granted) -> int:
    return int(granted.at.timestamp() * 1_000_000)
