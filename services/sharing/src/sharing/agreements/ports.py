"""What deciding needs of an agreement."""

from collections.abc import Sequence
from typing import Protocol

from common.events.case import CaseSnapshot
from sharing.agreements.model import Agreement, Question, Ruling
from sharing.directory.model import Agency


class Rules(Protocol):
    """A loaded agreement.

    Obligation: answers every question, in order; whatever cannot be evaluated is denied as
    ``rule-failed``.
    """

    agreement: Agreement

    def rule(
        self, snapshot: CaseSnapshot, asked: Sequence[Question], agencies: Sequence[Agency]
    ) -> tuple[Ruling, ...]:
        """Decide whether each agency may have each category."""
        ...
