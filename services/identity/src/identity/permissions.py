"""What each role may ever be granted at sign-in. The client's ceiling and this table both bind; the
smaller set wins."""

from collections.abc import Iterable
from typing import Final

_PRACTITIONER: Final = frozenset(
    {
        "referral.write",
        "referral.read",
        "case.read",
        "contact.read",
        "sharing.request",
        "sharing.respond",
        "disclosure.read",
        "disclosure.acknowledge",
        "audit.verify",
        "directory.read",
    }
)

ROLE_SCOPES: Final[dict[str, frozenset[str]]] = {
    "idva": _PRACTITIONER | {"risk.write", "case.write"},
    "idva_manager": _PRACTITIONER | {"risk.write", "case.write"},
    "police_officer": _PRACTITIONER,
    "marac_coordinator": _PRACTITIONER | {"referral.triage", "case.write"},
    "social_worker": _PRACTITIONER,
    "safeguarding_lead": frozenset(
        {
            "referral.write",
            "referral.read",
            "disclosure.read",
            "disclosure.acknowledge",
            "sharing.respond",
            "directory.read",
        }
    ),
    "auditor": frozenset({"audit.read", "audit.verify", "directory.read"}),
    "operator": frozenset({"agency.manage", "key.manage", "directory.read", "audit.verify"}),
}
"""Role → scopes. An unknown role gives nothing."""


def grantable(roles: Iterable[str], asked: str) -> str:
    """The part of `asked` that these roles may have, in the order asked; told back to the client
    (RFC 6749 section 3.3).
    """
    allowed: set[str] = set().union(*(ROLE_SCOPES.get(role, frozenset()) for role in roles))
    return " ".join(scope for scope in asked.split() if scope in allowed)
