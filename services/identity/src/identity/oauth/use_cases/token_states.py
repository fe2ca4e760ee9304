"""Introspection (RFC 7662) and revocation (RFC 7009) of what we issued."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from hubformats import jws
from identity.oauth.model import Issued, OAuthClient, TokenFamily, digest, seconds
from identity.oauth.ports import OAuthTx
from identity.oauth.use_cases import records
from identity.oauth.use_cases.authority import Authority
from identity.oauth.use_cases.exchange import Answer, Exchange
from identity.oauth.use_cases.server import Server

_METHODS: Final = ["private_key_jwt"]


@dataclass(frozen=True, slots=True)
class Known:
    """A token we issued, as Authlib's endpoints ask about it."""

    token: Issued | TokenFamily
    now: datetime
    claims: Mapping[str, Any]

    def check_client(self, client: OAuthClient) -> bool:
        """Tell whether this client got it."""
        return self.token.check_client(client)

    def is_expired(self) -> bool:
        """Tell whether its time is over."""
        return self.token.expires_at <= self.now

    def is_revoked(self) -> bool:
        """Tell whether it was ended, alone or with its family or agency."""
        return self.token.revoked


def introspect(authority: Authority, tx: OAuthTx, request: Exchange) -> Answer:
    """Answer at the introspection endpoint."""
    server = Server(authority, tx)
    server.register_endpoint(_Introspection)
    answer: Answer = server.create_endpoint_response(_Introspection.ENDPOINT_NAME, request)
    return answer


def revoke(authority: Authority, tx: OAuthTx, request: Exchange) -> Answer:
    """Answer at the revocation endpoint.

    An unknown token is answered like a revoked one (RFC 7009 section 2.2).
    """
    server = Server(authority, tx)
    server.register_endpoint(_Revocation)
    answer: Answer = server.create_endpoint_response(_Revocation.ENDPOINT_NAME, request)
    return answer


def _known(server: Server, token: str) -> Known | None:
    now = server.authority.clock.now()
    claims = _our_claims(server.authority, token)
    if claims is not None:
        issued = server.tx.tokens.find(str(claims.get("jti")))
        return Known(issued, now, claims) if issued else None
    family = server.tx.families.by_refresh(digest(token))
    return Known(family, now, {}) if family else None


def _our_claims(authority: Authority, token: str) -> Mapping[str, Any] | None:
    try:
        return jws.verify(token, authority.token_key.public(), typ="at+jwt")
    except jws.JwsRefused:
        return None


class _Introspection(IntrospectionEndpoint):
    CLIENT_AUTH_METHODS: Final = _METHODS

    def query_token(self, token_string: str, _hint: str | None) -> Known | None:
        """Find it by what the token is; the hint is only a hint."""
        return _known(self.server, token_string)

    def check_permission(self, known: Known, client: OAuthClient, _request: Exchange) -> bool:
        """Tell whether a client may learn of this token; others learn "inactive".

        A service may ask about access tokens meant for itself, any client about its own.
        """
        if (
            isinstance(known.token, Issued)
            and client.entry.kind == "service"
            and known.token.audience == client.home
        ):
            return True
        return known.check_client(client)

    def introspect_token(self, known: Known) -> dict[str, Any]:
        """Return what RFC 7662 section 2.2 names, plus what our access tokens carry."""
        if isinstance(known.token, Issued):
            return {"active": True, "token_type": "DPoP", **known.claims}
        family = known.token
        return {
            "active": True,
            "client_id": family.client_id,
            "sub": family.subject,
            "scope": family.scope,
            "iss": self.server.authority.issuer,
            "exp": seconds(family.expires_at),
            "cnf": {"jkt": family.jkt},
        }


class _Revocation(RevocationEndpoint):
    CLIENT_AUTH_METHODS: Final = _METHODS

    def query_token(self, token_string: str, _hint: str | None) -> Known | None:
        """Find it by what the token is; the hint is only a hint."""
        return _known(self.server, token_string)

    def revoke_token(self, known: Known, request: Exchange) -> None:
        """Revoke an access token alone; a refresh token with every access token of its sign-in."""
        tx: OAuthTx = self.server.tx
        if isinstance(known.token, Issued):
            tx.tokens.revoke(known.token.jti)
        else:
            tx.families.revoke(known.token.id)
        records.token_revoked(
            tx, records.of_client(self.server.authority.issuer, request.client), known.token
        )
