"""What the portal's use cases need from outside, each with its obligations."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from common.access import Granted
from hubformats.audit_record import AuditEntry
from hubformats.keys import OpeningKey, SigningKey
from portal.domain.delivery import Known, Sealed, Waiting
from portal.domain.emergency import Unproven, UnprovenList
from portal.domain.visit import Draft, Grantings, PendingSignIn, Session


class Sessions(Protocol):
    """Visits and sign-ins under way.

    Obligations: cookies are stored only as hashes, contents only sealed; `take` gives a sign-in to
    exactly one caller; what
    `put` answered is durable; an ended session is gone before `end` returns.
    """

    async def begin(self, cookie: str, pending: PendingSignIn) -> None:
        """Keep a sign-in under way."""
        ...

    async def take(self, cookie: str, now: datetime) -> PendingSignIn | None:
        """The sign-in under way of this cookie, once."""
        ...

    async def put(self, cookie: str, session: Session) -> None:
        """Keep a new session."""
        ...

    async def amend(self, cookie: str, session: Session) -> None:
        """Keep what changed in an open session; one that has ended meanwhile stays ended."""
        ...

    async def find(self, cookie: str, now: datetime, *, used: bool = True) -> Session | None:
        """The session of this cookie if it is not over, marked as seen if a person `used` it; an
        over one is deleted.
        """
        ...

    async def end(self, cookie: str) -> None:
        """Delete it."""
        ...


class Shelf(Protocol):
    """What an agency's people learned by opening deliveries, so that the work list can tell them
    apart.

    Obligations: stored only sealed, bound to agency and delivery; one agency never reads another's;
    holds no name.
    """

    async def remember(self, agency: str, delivery_id: str, known: Known, now: datetime) -> None:
        """Keep it; the last one wins."""
        ...

    async def known(self, agency: str, delivery_ids: Sequence[str]) -> Mapping[str, Known]:
        """What is known of these."""
        ...


class SignInFailed(Exception):
    """The authorization server's answer cannot be trusted or says no.

    `code` is one word, never what was sent.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where to send the browser, and what to keep until it returns."""

    location: str
    pending: PendingSignIn


class Authorization(Protocol):
    """The authorization server.

    Obligation: state, issuer and key binding are checked before anything is granted.
    """

    async def begin(self, also: str = "", draft: Draft | None = None) -> Redirect:
        """Push a sign-in request, for a further scope too if `also` names one; `draft` is kept with
        it. Raises SignInFailed.
        """
        ...

    async def complete(
        self, pending: PendingSignIn, *, code: str, state: str, iss: str
    ) -> Grantings:
        """Exchange the code. Raises SignInFailed."""
        ...

    async def revoke(self, session: Session) -> None:
        """End everything the visit was given; never raises, tokens run out by themselves."""
        ...


class Hub(Protocol):
    """The other services as one signed-in person may use them.

    Obligation: each call carries that person's own token. Every method may raise the failures of
    common.web.client, which pages answer; another agency's object and a missing one fail alike.
    """

    async def waiting(self) -> Sequence[Waiting]:
        """Deliveries to the person's agency, oldest first; one that is damaged is listed like any
        other.
        """
        ...

    async def delivery(self, delivery_id: str) -> Sealed:
        """One delivery. Raises EnvelopeRefused when the bytes are not what their digest says."""
        ...

    async def send_receipt(self, delivery_id: str, receipt: str) -> None:
        """Hand in the agency's signed receipt."""
        ...

    async def acknowledge(self, delivery_id: str, role: str) -> None:
        """Say that a role has taken it up."""
        ...

    async def ask_log(self, purpose: str, justification: str, wanted: Mapping[str, Any]) -> str:
        """Put a question to the audit log; the question itself is an entry first.

        Answers its id.
        """
        ...

    async def answers(self, query_id: str, cursor: str | None = None) -> Mapping[str, Any]:
        """A page of what a question found."""
        ...

    async def entry(self, index: int) -> Mapping[str, Any]:
        """One entry with record, salt, leaf and proof, as the service serves it: nothing of it is
        verified yet.
        """
        ...

    async def unproven(self, delivery_id: str = "") -> UnprovenList:
        """What of the agency's own referrals waits for its receipt or left on a promise; only that
        one, when an id is given.
        """
        ...

    async def left(self, delivery_id: str, case_reference: str) -> Unproven | None:
        """Where one disclosure of the agency's own referral stands once it has left; None when it
        has not, or is no such.
        """
        ...

    async def clauses(self) -> Mapping[str, str]:
        """What each clause of the sharing agreements says, by its code."""
        ...

    async def release_in_emergency(self, delivery_id: str, code: str, reason: str) -> None:
        """Let one go with a promise in place of its proof; asked twice it leaves once."""
        ...

    async def me(self) -> Mapping[str, Any]:
        """Who is signed in, by name."""
        ...


HubFor = Callable[[Session], Hub]


class Custody(Protocol):
    """Keys the hub keeps for agencies without a system of their own.

    Obligation: gives an agency's keys to its own people only.
    """

    def opening(self, granted: Granted) -> Mapping[str, OpeningKey]:
        """Opening keys of the person's agency; empty when the agency keeps its own."""
        ...

    def signing(self, granted: Granted) -> SigningKey | None:
        """The signing key of the person's agency; None when the agency keeps its own."""
        ...


class Recorder(Protocol):
    """Writes audit entries. Obligation: durable before it returns; raises when it cannot."""

    async def record(self, entry: AuditEntry) -> None:
        """Record what is about to be shown or was done."""
        ...

    def ready(self) -> bool:
        """False when reads can no longer be accounted for."""
        ...
