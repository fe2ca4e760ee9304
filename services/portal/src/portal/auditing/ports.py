"""What the auditor's screens need from outside: the audit log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from common.access import Granted
from portal.shell.model import Session


class AuditLog(Protocol):
    """The audit log as one signed-in auditor may ask it.

    Obligation: each call carries that person's own token. Every method raises CallRefused, NoAnswer
    or TokenRefused.
    """

    async def ask(
        self, granted: Granted, purpose: str, justification: str, wanted: Mapping[str, str]
    ) -> str:
        """Put a question, which is itself an entry first. Returns its id."""
        ...

    async def answers(
        self, granted: Granted, query_id: str, cursor: str | None = None
    ) -> Mapping[str, Any]:
        """Read a page of what a question found."""
        ...

    async def entry(self, granted: Granted, index: int) -> Mapping[str, Any]:
        """Read one entry with record, salt, leaf and proof, as served: nothing is verified yet."""
        ...


@dataclass(frozen=True, slots=True)
class AuditingPorts:
    """What the auditor's screens use."""

    log_for: Callable[[Session], AuditLog]
