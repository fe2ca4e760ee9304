"""What sharing asks of the directory."""

from typing import Protocol

from hubformats.keys import VerificationKey
from sharing.directory.model import Agency, Compromise


class KeysUnreachable(Exception):
    """The owner of the keys cannot be asked now. `retry_after` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("keys-unreachable")
        self.retry_after = retry_after


class Directory(Protocol):
    """Which agencies there are and which may act.

    Obligation: answers from memory; `fresh` is False when the copy is over 60 s old.
    """

    def agencies(self) -> tuple[Agency, ...]:
        """List all agencies, with their state of the moment."""
        ...

    def fresh(self) -> bool:
        """Tell whether that state may be relied on."""
        ...

    def sealing_key(self, agency: str) -> str | None:
        """Return the id of the key to seal to this agency with now; None when it has none."""
        ...

    def verification(self, kid: str) -> VerificationKey | None:
        """Return a signing key by id."""
        ...

    def compromised(self) -> tuple[Compromise, ...]:
        """List agencies' keys known as compromised; of two moments the earlier counts."""
        ...

    async def refresh(self) -> None:
        """Ask for everybody's keys of now. Raises KeysUnreachable."""
        ...
