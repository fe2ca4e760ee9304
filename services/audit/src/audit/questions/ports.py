"""What answering auditors needs from outside, each with its obligations."""

from collections.abc import Callable
from typing import Protocol, TypeVar
from uuid import UUID

from audit.questions.model import AuthorisedLook, Found, Question
from common.access import Granted
from common.attempts import Answer, Attempt
from hubformats.audit_record import AuditEntry

T = TypeVar("T")


class Questions(Protocol):
    """Recorded questions inside a write transaction."""

    def keep(self, question: Question) -> None:
        """Store a question."""
        ...


class Looks(Protocol):
    """Proofs of authority to look, on one snapshot.

    Obligation: finds no question but the caller's own, asked with the sight the caller has now.
    """

    def by_question(self, granted: Granted, question_id: UUID) -> AuthorisedLook:
        """Authorise a look by a question's id.

        Raises NotEntitled, QuestionNotFound or PurposeRequired.
        """
        ...

    def by_latest(self, granted: Granted) -> AuthorisedLook:
        """Authorise a look by the caller's newest question.

        Raises NotEntitled or PurposeRequired.
        """
        ...


class Entries(Protocol):
    """Entries of the log, opened for an authorised look only, on one snapshot.

    Obligations: never shows an entry of another agency than the look's. Never shows an agency why
    something was withheld from it.
    """

    def search(self, look: AuthorisedLook, below: int, limit: int) -> list[Found]:
        """Find what the look's question asks for with index < `below`, newest first."""
        ...

    def entry(self, look: AuthorisedLook, index: int) -> Found:
        """Open one entry. Raises EntryNotFound."""
        ...


class QuestionTx(Protocol):
    """What asking needs of a write transaction."""

    @property
    def questions(self) -> Questions:
        """Recorded questions."""
        ...

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Run `work` once per idempotency key; a repeat gets the stored answer."""
        ...

    def record(self, entry: AuditEntry) -> None:
        """Record an act of this service in the log; durable with the transaction."""
        ...

    def log_size(self) -> int:
        """Count the entries of the log."""
        ...


class QuestionView(Protocol):
    """What answering reads, on one snapshot."""

    @property
    def looks(self) -> Looks:
        """Proofs of authority."""
        ...

    @property
    def entries(self) -> Entries:
        """Entries, for those who hold a proof."""
        ...


class QuestionStore(Protocol):
    """Transactions for the questions."""

    async def write(self, work: Callable[[QuestionTx], T]) -> T:
        """Run `work`, commit, and return when durable.

        `work` may run twice and must touch only the transaction.
        """
        ...

    async def read(self, work: Callable[[QuestionView], T]) -> T:
        """Run `work` on one snapshot."""
        ...
