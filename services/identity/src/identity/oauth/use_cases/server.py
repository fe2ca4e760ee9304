"""The authorization server: Authlib's core, held to FAPI 2.0 where its defaults are looser.

One object serves one request in one transaction: code consumed, token issued, both recorded, or
nothing of it.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from authlib.oauth2 import AuthorizationServer, OAuth2Error
from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    grants,
)
from authlib.oauth2.rfc7636 import CodeChallenge

from common.access import SCOPES
from hubformats import jws
from hubformats.bootstrap import Person
from hubformats.ids import opaque
from identity.oauth.model import (
    ACCESS_TOKEN_LIFE,
    CODE_LIFE,
    Code,
    Issued,
    OAuthClient,
    TokenFamily,
    access_claims,
    digest,
    grantable,
    seconds,
)
from identity.oauth.ports import OAuthTx
from identity.oauth.use_cases import records
from identity.oauth.use_cases.authority import Authority
from identity.oauth.use_cases.exchange import Answer, Exchange

# Authlib writes whole token bodies at debug level; no setting may ever turn that on.
for _name in (
    "authlib",
    "authlib.oauth2",
    *(f"authlib.oauth2.{part}" for part in ("rfc6749", "rfc7523", "rfc7636", "rfc7009", "rfc7662")),
):
    logging.getLogger(_name).setLevel(logging.WARNING)

_METHODS: Final = ["private_key_jwt"]

_TEXTS: Final[Mapping[str, str]] = {
    "invalid_client": "Client authentication failed.",
    "invalid_dpop_proof": "Send one fresh DPoP proof for this method and URL.",
    "invalid_grant": "The code or refresh token is unknown, used, expired, revoked or bound to "
    "something else.",
    "invalid_request": "The request lacks a parameter, repeats one, or is otherwise malformed.",
    "invalid_scope": "The scope is missing, unknown, or more than this client may ask for.",
    "login_required": "Nobody is signed in here beforehand. Send the person to the sign-in page.",
    "invalid_target": "Name exactly one known service as resource (RFC 8707).",
    "unauthorized_client": "This client may not do this, or its agency is suspended.",
    "unsupported_grant_type": "Use client_credentials, authorization_code or refresh_token.",
    "unsupported_response_type": "Use response_type=code.",
    "unsupported_token_type": "Use access_token or refresh_token as hint.",
    "temporarily_unavailable": "Too many requests. Wait as long as Retry-After says.",
    "access_denied": "The sign-in was refused.",
}
"""Error code → the only text that goes with it: Authlib's own descriptions quote what the caller
sent.
"""


class InvalidTarget(OAuth2Error):
    """The resource is missing, unknown, or not the one the sign-in was for (RFC 8707 section 2)."""

    error = "invalid_target"


class InvalidDpopProof(OAuth2Error):
    """The DPoP proof is missing, replayed or does not fit (RFC 9449 section 5)."""

    error = "invalid_dpop_proof"


class AgencySuspended(OAuth2Error):
    """The client's or person's agency may not act now."""

    error = "unauthorized_client"


def refusal(error: str, status: int = 400, hint: str = "") -> Answer:
    """Return an RFC 6749 section 5.2 error with our fixed text, or `hint` in its place."""
    text = hint or _TEXTS.get(error, "The request was refused.")
    return Answer(status, {"error": error, "error_description": text})


class Server(AuthorizationServer):
    """Authlib's core over one transaction. `refused` is set when the answer is a refusal."""

    def __init__(self, authority: Authority, tx: OAuthTx) -> None:
        super().__init__(scopes_supported=sorted(SCOPES))
        self.authority = authority
        self.tx = tx
        self.refused = ""
        self.register_client_auth_method("private_key_jwt", self._admit)
        self.register_grant(CodeGrant, [Pkce(required=True)])
        self.register_grant(SystemGrant)
        self.register_grant(RefreshGrant)

    def query_client(self, client_id: str) -> OAuthClient | None:
        """Find a registered client."""
        return self.authority.clients.get(client_id)

    def create_oauth2_request(self, request: Exchange) -> Exchange:
        """Return the request as it is: ours already are OAuth 2 requests."""
        return request

    def send_signal(self, *_args: object, **_named: object) -> None:
        """Tell nobody: what must be known is in the audit trail."""

    def save_token(self, token: object, request: object) -> None:
        """Do nothing: `issue` has stored it, before it was signed."""

    def handle_response(
        self, status: int, body: Mapping[str, Any] | str, headers: Sequence[tuple[str, str]]
    ) -> Answer:
        """Make the framework-free answer."""
        head = dict(headers)
        location = head.pop("Location", "")
        return Answer(status, body if isinstance(body, Mapping) else None, {}, location)

    def handle_error_response(self, request: Exchange, error: OAuth2Error) -> Answer:
        """Record a refusal, and tell it in our words only."""
        self.refused = str(error.error)
        if request.presented is not None:
            records.refused(
                self.tx,
                records.of_client(self.authority.issuer, request.presented.client),
                self.refused,
            )
        hint = request.proof_hint if isinstance(error, InvalidDpopProof) else ""
        return refusal(self.refused, 401 if isinstance(error, InvalidClientError) else 400, hint)

    def token(self, request: Exchange) -> Answer:
        """Answer at the token endpoint.

        The proof is spent first: a request that fails later cannot be sent again.
        """
        try:
            self.spend_proof(request)
        except OAuth2Error as error:
            return self.handle_error_response(request, error)
        answer: Answer = self.create_token_response(request)
        return answer

    def spend_proof(self, request: Exchange) -> None:
        """Use up the DPoP proof.

        Raises InvalidDpopProof when there is none or it was used before.
        """
        proof = request.proof
        if proof is None or not self.tx.seen.claim(
            "dpop", f"{proof.jkt}:{proof.jti}", proof.expires_at
        ):
            raise InvalidDpopProof

    def spend_assertion(self, request: Exchange) -> OAuthClient:
        """Use up the client assertion.

        Raises InvalidClientError when there is none or it was used before.
        """
        client = self._admit(None, request)
        if client is None:
            raise InvalidClientError
        request.client = client
        return client

    def _admit(self, _query_client: object, request: Exchange) -> OAuthClient | None:
        presented = request.presented
        if presented is None or not self.tx.seen.claim(
            "assertion", f"{presented.client.id}:{presented.jti}", presented.expires_at
        ):
            return None
        return presented.client

    def check_agency(self, agency: str) -> None:
        """Raise AgencySuspended unless this agency, service or area body may act now."""
        if agency == self.authority.area or agency.startswith("svc:"):
            return
        state = self.tx.agencies.find(agency)
        if state is None or state.suspended_at is not None:
            raise AgencySuspended

    def issue(
        self, request: Exchange, *, scope: str, person: Person | None, family: TokenFamily | None
    ) -> dict[str, Any]:
        """Issue an access token: the one place where they come from.

        Raises OAuth2Error; nothing is trimmed here, only refused.
        """
        client: OAuthClient = request.client
        if client.get_allowed_scope(scope) is None:
            raise InvalidScopeError
        audience = request.form.get("resource", "")
        if audience not in self.authority.resources or (
            family is not None and family.resource not in ("", audience)
        ):
            raise InvalidTarget
        agency = person.agency if person else client.entry.agency
        self.check_agency(agency)
        issued = Issued(
            opaque(),
            family.id if family else "",
            client.id,
            person.id if person else client.id,
            agency,
            audience,
            scope,
            self.authority.clock.now() + ACCESS_TOKEN_LIFE,
        )
        self.tx.tokens.save(issued)
        issuer, roles = self.authority.issuer, person.roles if person else ()
        claims = access_claims(issuer, issued, roles=roles, jkt=request.jkt, family=family)
        actor = (
            records.of_person(issuer, person, family.acr if family else "")
            if person
            else records.of_client(issuer, client)
        )
        records.token_issued(self.tx, actor, claims)
        return {
            "access_token": jws.sign(claims, self.authority.token_key, typ="at+jwt"),
            "token_type": "DPoP",
            "expires_in": int(ACCESS_TOKEN_LIFE.total_seconds()),
            "scope": scope,
        }


class Pkce(CodeChallenge):
    """PKCE with S256, required of every client.

    Authlib's own asks it of public clients only, and knows `plain`.
    """

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD: Final = ["S256"]

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Check the code challenge at the authorization request. Raises InvalidRequestError."""
        data = grant.request.payload.data
        if not data.get("code_challenge") or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError
        super().validate_code_challenge(grant, redirect_uri)


class CodeGrant(grants.AuthorizationCodeGrant):
    """People's sign-in."""

    TOKEN_ENDPOINT_AUTH_METHODS: Final = _METHODS
    AUTHORIZATION_CODE_LENGTH = 43

    def generate_authorization_code(self) -> str:
        """Make 256 random bits."""
        return secrets.token_urlsafe(32)

    def save_authorization_code(self, code: str, request: Exchange) -> None:
        """Keep the code by its digest, bound to client, redirect URI, challenge, key and person."""
        server: Server = self.server
        person: Person = request.user
        now = server.authority.clock.now()
        server.tx.codes.save(
            Code(
                digest=digest(code),
                grant_id=opaque(),
                client_id=request.client.id,
                redirect_uri=request.form["redirect_uri"],
                scope=grantable(person.roles, request.scope),
                subject=person.id,
                code_challenge=request.form["code_challenge"],
                jkt=request.form.get("dpop_jkt", ""),
                resource=request.form.get("resource", ""),
                acr=request.form["acr"],
                auth_time=seconds(now),
                expires_at=now + CODE_LIFE,
            )
        )

    def query_authorization_code(self, code: str, client: OAuthClient) -> Code | None:
        """Consume the code.

        A second presentation ends every token of the first: one of the two holders stole it.
        """
        tx: OAuthTx = self.server.tx
        found = tx.codes.consume(digest(code))
        if found is None:
            used = tx.codes.used(digest(code))
            if used is not None:
                tx.families.revoke(used.grant_id)
                records.code_replayed(tx, records.of_client(self.server.authority.issuer, client))
            return None
        return (
            found if found.client_id == client.id and found.jkt in ("", self.request.jkt) else None
        )

    def authenticate_user(self, code: Code) -> Person | None:
        """Return the person who signed in."""
        found: Person | None = self.server.authority.people.get(code.subject)
        return found

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Do nothing: it was consumed when it was read, and its row stays to recognise a replay."""

    def generate_token(self, user: Person, scope: str, **_named: object) -> dict[str, Any]:
        """Start the token family and issue its first access token and its one refresh token."""
        server: Server = self.server
        code: Code = self.request.authorization_code
        refresh = secrets.token_urlsafe(32)
        family = records.begin_family(
            server.authority.clock.now(), code, user, self.request.jkt, refresh
        )
        server.tx.families.save(family)
        return {
            **server.issue(self.request, scope=scope, person=user, family=family),
            "refresh_token": refresh,
        }


class SystemGrant(grants.ClientCredentialsGrant):
    """An agency's own system, a service of the hub, the operator's or auditor's tool."""

    TOKEN_ENDPOINT_AUTH_METHODS: Final = _METHODS

    def generate_token(self, scope: str | None = None, **_named: object) -> dict[str, Any]:
        """Issue one access token, no refresh token (RFC 6749 section 4.4.3)."""
        issued: dict[str, Any] = self.server.issue(
            self.request, scope=scope or "", person=None, family=None
        )
        return issued


class RefreshGrant(grants.RefreshTokenGrant):
    """A new access token within the shift.

    The refresh token stays the same: it is bound to the client's key and to its DPoP key.
    """

    TOKEN_ENDPOINT_AUTH_METHODS: Final = _METHODS
    INCLUDE_NEW_REFRESH_TOKEN = False

    def authenticate_refresh_token(self, refresh_token: str) -> TokenFamily | None:
        """Find the living family of this token, presented with the key it is bound to.

        With another key, or by another client, it is in other hands than those that got it. Then
        every token of its sign-in ends.
        """
        server: Server = self.server
        family = server.tx.families.by_refresh(digest(refresh_token))
        if family is None or family.revoked or family.expires_at <= server.authority.clock.now():
            return None
        client: OAuthClient = self.request.presented.client
        if family.jkt != self.request.jkt or not family.check_client(client):
            server.tx.families.revoke(family.id)
            records.refresh_token_reused(
                server.tx, records.of_client(server.authority.issuer, client)
            )
            return None
        return family

    def authenticate_user(self, family: TokenFamily) -> Person | None:
        """Return the person who signed in, still in the directory."""
        found: Person | None = self.server.authority.people.get(family.subject)
        return found

    def generate_token(self, user: Person, scope: str, **_named: object) -> dict[str, Any]:
        """Give the next access token.

        Roles are read afresh, so a role taken away takes its scopes along.
        """
        server: Server = self.server
        if grantable(user.roles, scope) != scope:
            raise InvalidGrantError
        return server.issue(
            self.request, scope=scope, person=user, family=self.request.refresh_token
        )

    def revoke_old_credential(self, refresh_token: TokenFamily) -> None:
        """Do nothing: no rotation (FAPI 2.0 discourages it for confidential clients)."""
