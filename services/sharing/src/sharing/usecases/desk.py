"""What every use case of sharing is given once, by wiring."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from common.access import Granted, own_work
from hubformats.audit_record import Actor
from hubformats.case_reference import case_reference
from hubformats.clock import Clock
from hubformats.tlog import Verifier
from sharing.domain.disclosure import Disclosure
from sharing.ports import Directory, Rules, Tx

SERVICE_ACTOR: Final = Actor(subject="svc:sharing", agency="svc:sharing", role="system")


class NoAgreement(LookupError):
    """No agreement covers the area: nothing can be decided, so nothing may leave."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Agreements by area, the directory, the log's key, the clock and the secrets of names."""

    rules: Mapping[str, Rules]
    directory: Directory
    log: Verifier
    clock: Clock
    issuer: str
    reference_secret: bytes
    delivery_secret: bytes
    spread_ms: int

    def rules_for(self, area: str) -> Rules:
        """The agreement of an area. Raises NoAgreement."""
        found = self.rules.get(area)
        if found is None:
            raise NoAgreement("no-agreement")
        return found

    def reference(self, agency: str, case_id: UUID) -> str:
        """The case reference `agency` knows this case by."""
        return case_reference(self.reference_secret, agency, case_id)

    def own_work(self) -> Granted:
        """The grant for work that a verified event or an earlier decision started."""
        return own_work(
            "sharing", issuer=self.issuer, scope="case.read", operation="disclosure", at=self.now()
        )

    def now(self) -> datetime:
        """The present moment, UTC."""
        return self.clock.now()


def references(tx: Tx, desk: Desk, disclosure: Disclosure) -> tuple[str, ...]:
    """The names under which an auditor looks for this disclosure's case: its recipient's and its
    referrer's.
    """
    case = tx.case(disclosure.case_id)
    agencies = {disclosure.recipient} if case is None else {disclosure.recipient, case.referrer}
    return tuple(sorted(desk.reference(agency, disclosure.case_id) for agency in agencies))
