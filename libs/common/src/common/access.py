"""Who is asking and what they were granted: framework-free types that use cases may import."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NoReturn

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

SECOND_FACTOR = frozenset({"urn:hub:acr:passkey", "urn:hub:acr:totp", "urn:hub:acr:demo"})
"""Values of `acr` that count as more than a password. The last is issued in demo mode only."""

# What a request does to personal data: the words of DPA 2018 s.62 (logging), and "operation" for
# what touches none.
Operation = Literal[
    "collection", "alteration", "consultation", "disclosure", "combination", "erasure", "operation"
]

_SEAL = object()


def _refuse(self: object, *_: object) -> NoReturn:
    raise TypeError(f"{type(self).__name__} is not copied, pickled or restored")


class Proof:
    """What only the module that defines it can make; storage opens personal data for one.

    A concrete proof takes its module's seal as `InitVar[object]` and checks it in `__post_init__`.
    The seal is not kept, so `dataclasses.replace` cannot pass it on. This stops a mistake or a
    short cut; Python has nothing against code that sets out to break it.
    """

    __slots__ = ()
    __copy__ = __deepcopy__ = __reduce_ex__ = _refuse

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a subclass of a concrete proof, which could leave the check of the seal out.

        Raises TypeError.
        """
        super().__init_subclass__(**kwargs)
        if cls.__bases__ != (Proof,):
            raise TypeError("a proof has no subclasses")
        # Set here because a frozen dataclass with slots would add working ones.
        cls.__getstate__ = cls.__setstate__ = _refuse  # type: ignore[attr-defined,method-assign]


@dataclass(frozen=True, slots=True)
class Permission:
    """What one action asks of its caller. Each service has one table of them, read by its guards.

    `person` asks for a person, `roles` for a person with one of these roles. `clients` asks for one
    of these systems acting for itself. `acr` asks for a sign-in with one of these values. `step_up`
    asks for one at most that long ago (RFC 9470).
    """

    scope: str
    operation: Operation
    person: bool = False
    roles: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    acr: frozenset[str] = frozenset()
    step_up: timedelta | None = None


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
class Granted(Proof):
    """Proof that a guard let `principal` use `scope` for `operation`, in the action of that name.

    Cannot be made by hand: see `grant`.
    """

    principal: Principal
    scope: str
    operation: Operation
    at: datetime
    seal: InitVar[object]
    action: str = ""

    def __post_init__(self, seal: object) -> None:
        """Refuse every maker outside this module, because storage opens personal data for a grant.

        Raises TypeError.
        """
        if seal is not _SEAL:
            raise TypeError("Granted is made by a guard only")


def grant(
    principal: Principal, *, scope: str, operation: Operation, at: datetime, action: str = ""
) -> Granted:
    """Make the proof. For the callers whom tests/architecture lists.

    Raises ValueError for a scope that the principal does not hold.
    """
    if scope not in SCOPES or scope not in principal.scopes:
        raise ValueError("the principal does not hold this scope")
    return Granted(principal, scope, operation, at, _SEAL, action)


def own_work(
    service: str, *, issuer: str, scope: str, operation: Operation, at: datetime, action: str = ""
) -> Granted:
    """Make the grant under which a service's consumer handles an event.

    The signature of the event's envelope was verified before.
    """
    client, held = f"svc-{service}", frozenset({scope})
    me = Principal(issuer, client, client, "system", f"svc:{service}", scopes=held)
    return grant(me, scope=scope, operation=operation, at=at, action=action)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a refused request carried, to tell a later correction from something else.

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
