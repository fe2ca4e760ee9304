"""What notices need from the outside."""

from typing import Protocol
from uuid import UUID

from common.access import Granted
from sharing.context import Writing
from sharing.notices.model import Notice
from sharing.signed.ports import KeyUses, KeyUseViews


class Notices(Protocol):
    """The notices, inside one writing transaction."""

    def add(self, notice: Notice) -> None:
        """Store a notice whose entry is not in the log yet."""
        ...

    def get(self, notice_id: UUID) -> Notice | None:
        """Find one notice, locked for this transaction."""
        ...

    def by_record(self, record_id: UUID) -> Notice | None:
        """Find the notice whose audit record has this id, locked."""
        ...

    def replace(self, old: Notice, new: Notice) -> None:
        """Store `new` where `old` stands; the row is locked since it was read."""
        ...

    def send(self, notice: Notice) -> None:
        """Seal it to its agency, on that agency's own topic, with this transaction.

        Raises LookupError without a key.
        """
        ...


class NoticeTx(Writing, Protocol):
    """One writing transaction, as notices use it."""

    @property
    def notices(self) -> Notices:
        """The notices."""
        ...

    @property
    def signed(self) -> KeyUses:
        """What agencies signed."""
        ...


class NoticeViews(Protocol):
    """What may be looked at without a writing transaction."""

    def ready(self, after: UUID | None, limit: int) -> tuple[Notice, ...]:
        """List notices that are logged and have not left, by id, behind `after`."""
        ...

    def told(self, granted: Granted, after: UUID | None, limit: int) -> tuple[Notice, ...]:
        """List the caller's agency's own notices that have left, oldest first, behind `after`."""
        ...


class NoticeView(Protocol):
    """One snapshot that cannot write, as notices use it."""

    @property
    def notices(self) -> NoticeViews:
        """The notices."""
        ...

    @property
    def signed(self) -> KeyUseViews:
        """What agencies signed."""
        ...
