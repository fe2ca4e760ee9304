"""What knowing signers needs from the outside."""

from datetime import datetime
from typing import Protocol
from uuid import UUID

from sharing.context import Writing
from sharing.directory.model import Compromise
from sharing.signed.model import Found, KeyUse, SignedMessage

Place = tuple[str, UUID]
"""Where a page ended: key and reference of its last item."""


class KeyUses(Protocol):
    """What agencies signed, inside one writing transaction."""

    def note(self, message: SignedMessage) -> None:
        """Keep which key signed a message that is taken in; the same again changes nothing."""
        ...

    def look_back(self, compromise: Compromise, notice_id: UUID, now: datetime) -> Found | None:
        """Find what the key signed, or what came, since then and was not found before.

        Obligations: each is found once for a key, by one of several processes. The first look for
        a moment also finds what may be. That is messages of the agency whose key was not kept, and
        its cases of which a version came. None when that was done and nothing is new.
        """
        ...


class SignedTx(Writing, Protocol):
    """One writing transaction, as this folder uses it."""

    @property
    def signed(self) -> KeyUses:
        """What agencies signed."""
        ...


class KeyUseViews(Protocol):
    """What may be looked at without a writing transaction."""

    def unseen(self, compromise: Compromise) -> bool:
        """Tell whether `look_back` would say something."""
        ...

    def used(self, agency: str | None, after: Place | None, limit: int) -> tuple[KeyUse, ...]:
        """List what was found, of one agency or all, by key and reference, behind `after`."""
        ...


class SignedView(Protocol):
    """One snapshot that cannot write, as this folder uses it."""

    @property
    def signed(self) -> KeyUseViews:
        """What agencies signed."""
        ...
