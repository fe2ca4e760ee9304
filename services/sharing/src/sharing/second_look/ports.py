"""What the second look needs from storage, with the obligations an adapter must keep."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from common.access import Granted
from sharing.context import Writing
from sharing.second_look.model import Filed, Party, SecondLook


class SecondLooks(Protocol):
    """The queue inside one transaction.

    Obligation: for whoever took part in an act, its item does not exist, whatever is asked.
    """

    def file(self, filed: Filed) -> SecondLook:
        """Open an item with its clock; one filed before is given back as it stands."""
        ...

    def party_of(self, granted: Granted) -> Party:
        """Name the caller by the keyed token."""
        ...

    def find(self, granted: Granted, look_id: UUID) -> SecondLook | None:
        """Find one that the caller may look at."""
        ...

    def listed(self, granted: Granted, limit: int, *, waiting: bool) -> Sequence[SecondLook]:
        """List what waits, soonest due first; or what was closed, newest first."""
        ...

    def replace(self, old: SecondLook, new: SecondLook) -> None:
        """Compare and swap. Raises LookOver if somebody else was first."""
        ...

    def to_tell(self, now: datetime) -> Sequence[SecondLook]:
        """List what waits and nobody was told of since it was filed or escalated.

        Note that it is told of now.
        """
        ...

    def to_alarm(self, now: datetime, before: datetime) -> Sequence[SecondLook]:
        """List what is overdue and was not alarmed since `before`, and note that it is now."""
        ...


class FilingTx(Protocol):
    """A transaction in which something is filed for a second look."""

    @property
    def second_looks(self) -> SecondLooks:
        """The queue."""
        ...


class LookTx(FilingTx, Writing, Protocol):
    """One transaction that reaches the queue."""
