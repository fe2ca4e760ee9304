"""Words and rules of the authorization server.

Lifetimes, scopes by role, clients, pushed requests, codes and token families.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from hubformats.bootstrap import Client, Person
from hubformats.canonical import b64u

ACCESS_TOKEN_LIFE: Final = timedelta(minutes=5)
CODE_LIFE: Final = timedelta(seconds=60)
"""FAPI 2.0 Security Profile 5.3.2.1-11."""

REQUEST_LIFE: Final = timedelta(minutes=5)
"""Time a person has to sign in; FAPI 2.0 wants a pushed request to live less than 600 seconds."""

SHIFT: Final = timedelta(hours=8)
"""Absolute life of a refresh token: nobody stays signed in longer than a shift."""

SKEW: Final = timedelta(seconds=60)
"""How far ahead of ours a client's clock may be; FAPI 2.0 5.3.2.1-13: 10 s must be accepted, over
60 s refused.
"""

ENDED_LISTED: Final = 2_000
"""Most ended access tokens that one heartbeat names: about 50 kB."""

EXPIRY_LEEWAY: Final = timedelta(seconds=10)
ASSERTION_LIFE: Final = timedelta(minutes=5)

ACR_DEMO: Final = "urn:hub:acr:demo"
"""Authentication context of a demo click: it proves nothing about who clicked."""

SIGNATURE_ALGORITHMS: Final = ("ES256", "PS256", "Ed25519")
"""FAPI 2.0 section 5.4; the name Ed25519 (RFC 9864) is what joserfc calls the fully specified
EdDSA.
"""

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
    "privacy_officer": frozenset({"case.read", "case.write", "audit.verify", "directory.read"}),
    "auditor": frozenset({"audit.read", "audit.verify", "directory.read"}),
    "operator": frozenset({"agency.manage", "key.manage", "directory.read", "audit.verify"}),
}
"""Role → scopes it may ever be granted at sign-in. An unknown role gives nothing.

The client's ceiling and this table both bind; the smaller set wins.
"""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A person who proved who they are in this request, and by which means (`acr`)."""

    person: Person
    acr: str


@dataclass(frozen=True, slots=True)
class Pushed:
    """An authorization request a client pushed (RFC 9126).

    Found by the SHA-256 of its handle; used once, at completion.
    """

    handle: str
    client_id: str
    parameters: Mapping[str, str]
    jkt: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, known by its SHA-256 only.

    `grant_id` names the token family it may start, exactly once.
    """

    digest: str
    grant_id: str
    client_id: str
    redirect_uri: str
    scope: str
    subject: str
    code_challenge: str
    jkt: str
    resource: str
    acr: str
    auth_time: int
    expires_at: datetime

    code_challenge_method = "S256"

    def get_redirect_uri(self) -> str:
        """Return the redirect URI the code is bound to (Authlib's protocol)."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return the scopes granted at sign-in (Authlib's protocol)."""
        return self.scope


@dataclass(frozen=True, slots=True)
class TokenFamily:
    """What one sign-in gave a client.

    Its refresh token and every access token of it live and end together.
    """

    id: str
    client_id: str
    subject: str
    agency: str
    scope: str
    jkt: str
    resource: str
    acr: str
    auth_time: int
    refresh_digest: str
    expires_at: datetime
    revoked: bool = False

    def get_scope(self) -> str:
        """Return the scopes granted at sign-in (Authlib's protocol)."""
        return self.scope

    def check_client(self, client: "OAuthClient") -> bool:
        """Tell whether this client got it (Authlib's protocol)."""
        return client.id == self.client_id


@dataclass(frozen=True, slots=True)
class Issued:
    """One access token we issued, by `jti`.

    It is kept until it expires, so that it can be asked about and revoked.
    """

    jti: str
    family_id: str
    client_id: str
    subject: str
    agency: str
    audience: str
    scope: str
    expires_at: datetime
    revoked: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)

    def check_client(self, client: "OAuthClient") -> bool:
        """Tell whether this client got it (Authlib's protocol)."""
        return client.id == self.client_id


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A registered client with its redirect URIs resolved.

    Answers the questions that Authlib's core asks of a client.
    """

    entry: Client
    redirect_uris: tuple[str, ...]
    home: str = ""
    """Base URL of the resource server this client is, if it is a service: what it may introspect.
    """

    @property
    def id(self) -> str:
        """The client id."""
        return self.entry.id

    @property
    def scopes(self) -> frozenset[str]:
        """The ceiling: what it may ever ask for."""
        return frozenset(self.entry.scopes)

    @property
    def interactive(self) -> bool:
        """Whether it signs people in; such a client has no rights of its own."""
        return self.entry.kind == "portal"

    def get_client_id(self) -> str:
        """Return the client id."""
        return self.entry.id

    def get_default_redirect_uri(self) -> str | None:
        """Return None: the redirect URI must be named in every request (FAPI 2.0 5.3.2.2-6)."""
        return None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Tell whether it is one of the client's own, compared exactly (RFC 9700 section 2.1)."""
        return redirect_uri in self.redirect_uris

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Give all of what was asked, or None: a request over the ceiling is never trimmed."""
        asked = (scope or "").split()
        return " ".join(asked) if asked and self.scopes.issuperset(asked) else None

    def check_client_secret(self, _secret: str) -> bool:
        """Refuse: no client has a shared secret."""
        return False

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """Take private_key_jwt alone, at every endpoint."""
        return method == "private_key_jwt"

    def check_response_type(self, response_type: str | None) -> bool:
        """Take the code flow alone, and only for clients that sign people in."""
        return response_type == "code" and self.interactive

    def check_grant_type(self, grant_type: str) -> bool:
        """Take code and refresh from people's client, client_credentials from everything else."""
        return grant_type in (
            {"authorization_code", "refresh_token"} if self.interactive else {"client_credentials"}
        )


def digest(secret: str) -> str:
    """Hash a code, handle or refresh token (SHA-256), as it is stored.

    So a copy of the database redeems nothing.
    """
    return b64u(hashlib.sha256(secret.encode()).digest())


def seconds(moment: datetime) -> int:
    """Convert a moment to Unix seconds."""
    return int(moment.timestamp())


def grantable(roles: Iterable[str], asked: str) -> str:
    """Give the part of `asked` that these roles may have, in the order asked.

    It is told back to the client (RFC 6749 section 3.3).
    """
    allowed: set[str] = set().union(*(ROLE_SCOPES.get(role, frozenset()) for role in roles))
    return " ".join(scope for scope in asked.split() if scope in allowed)


def access_claims(
    issuer: str, token: Issued, *, roles: tuple[str, ...], jkt: str, family: TokenFamily | None
) -> dict[str, Any]:
    """Make the claims of one access token (RFC 9068 section 2.2, RFC 9449 section 6.1).

    `aud` is always one string. A person's token says how and when they signed in.
    """
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": token.subject,
        "aud": token.audience,
        "client_id": token.client_id,
        "scope": token.scope,
        "agency": token.agency,
        "roles": list(roles),
        "cnf": {"jkt": jkt},
        "jti": token.jti,
        "iat": seconds(token.expires_at - ACCESS_TOKEN_LIFE),
        "exp": seconds(token.expires_at),
    }
    if family is None or not family.acr:
        return claims
    return {**claims, "acr": family.acr, "auth_time": family.auth_time}
