"""What one recipient may see of a case, and under which clauses."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from common.events.case import Fact

Kind = Literal["disclosure", "correction", "withdrawal", "notice"]


class SubjectCategory(NamedTuple):
    """A category of one person's information, or of the case itself when `subject` is None.

    It is decided as one.

    A tuple, because a decision looks these up some hundred times. A dataclass makes its hash and
    comparison in Python.
    """

    category: str
    subject: UUID | None = None
    hidden: bool = False
    """Whether it is the part that an address shield hides, of a category that is open besides."""


@dataclass(frozen=True, slots=True)
class ClauseText:
    """One clause of a sharing agreement, as the recipient is told it."""

    id: str
    text: str
    agreement: str
    version: str
    agreement_hash: str
    purpose: str
    necessity: str
    lawful_basis: str
    condition: str
    gateway: str
    obligations: tuple[tuple[str, str], ...] = ()
    """(code, plain-English text) each."""


@dataclass(frozen=True, slots=True)
class Projection:
    """One recipient's part of a decision: each permitted pair with the id of its clause.

    What is not here is not shown.
    """

    recipient: str
    permitted: Mapping[SubjectCategory, str]
    clauses: tuple[ClauseText, ...]
    """The clauses relied on, leading one first."""
    decided_at: datetime | None = None
    """When it was decided, by which safe contact is judged; None means when the snapshot was
    received.
    """
    advocate: bool = False
    """Whether the recipient speaks for the victim, and so still sees last-known means once nobody
    vouches for them.
    """


class ShownFact(NamedTuple):
    """A fact as every recipient of its category sees it.

    `item` is the same for all; `about` says whom it tells of, which is worded per recipient.
    """

    place: int
    fact: Fact
    item: Mapping[str, Any]
    about: UUID | None
