"""Who is asking and what they were granted: framework-free types that use cases may import."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

SCOPES = frozenset(
    {
        "referral.write",
        "referral.read",
        "referral.triage",
        "risk.write",
        "case.read",
        "case.write",
        "contact.read",
        "sharing.request",
        "sharing.respond",
        "disclosure.read",
        "disclosure.acknowledge",
        "agreement.manage",
        "audit.read",
        "audit.verify",
        "audit.write",
        "directory.read",
        "key.manage",
        "agency.manage",
    }
)

# What a request does to personal data: the words of DPA 2018 s.62 (logging), and "operation" for
# what touches none.
Operation = Literal[
    "collection", "alteration", "consultation", "disclosure", "combination", "erasure", "operation"
]

_SEAL = object()


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller.

    People are identified by (issuer, subject), systems by client; never by e-mail or name.
    """

    issuer: str
    subject: str
    client_id: str
    kind: Literal["system", "person"]
    agency: str
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    acr: str | None = None
    auth_time: int | None = None  # seconds since the epoch at which the person authenticated
    name_ref: str | None = None  # opaque handle under which identity keeps the person's name


@dataclass(frozen=True, slots=True)
class Granted:
    """Proof that a guard let `principal` use `scope` for `operation`.

    Cannot be made by hand: see `grant`.
    """

    principal: Principal
    scope: str
    operation: Operation
    at: datetime
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse every maker that is not this module: storage of personal data trusts this
        object.
        """
        if self.seal is not _SEAL:
            raise TypeError("Granted is made by a guard only")


def grant(principal: Principal, *, scope: str, operation: Operation, at: datetime) -> Granted:
    """Make the proof.

    For guards, and `own_work` below; tests/architecture lists every caller. Raises ValueError.
    """
    if scope not in SCOPES or scope not in principal.scopes:
        raise ValueError("the principal does not hold this scope")
    return Granted(principal, scope, operation, at, _SEAL)


def own_work(
    service: str, *, issuer: str, scope: str, operation: Operation, at: datetime
) -> Granted:
    """The grant under which a service's consumer handles an event already verified by its
    envelope's signature.
    """
    me = Principal(
        issuer,
        f"svc-{service}",
        f"svc-{service}",
        "system",
        f"svc:{service}",
        scopes=frozenset({scope}),
    )
    return grant(me, scope=scope, operation=operation, at=at)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a refused request carried, so that its service can tell a later correction from
    something else.

    Personal data in the clear: take keyed hashes of it, and neither store nor log it.
    """

    idempotency_key: str = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused request, for the audit trail.

    Authenticated ones come one by one, anonymous ones once a minute.

    Holds a route template, never a path; `reasons` counts problem codes and sums to the number of
    requests refused.
    """

    at: datetime
    principal: Principal | None
    route: str
    operation: Operation
    correlation_id: str
    reasons: Mapping[str, int]
    sent: Sent | None = None
