"""The portal's OAuth client: PAR, PKCE S256, DPoP, `iss` and `state` checked (FAPI 2.0)."""

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

import httpx2

from common.web.client import TokenSource
from hubformats.answers import TokenRefused
from hubformats.canonical import b64u, parse
from hubformats.clock import Clock
from hubformats.dpop import make_proof
from hubformats.jws import JwsRefused, claims_of
from hubformats.keys import SigningKey, generate_signing, signing_from_jwk
from portal.shell.model import Draft, Grantings, PendingSignIn, Person, Session
from portal.shell.ports import Calls
from portal.sign_in.model import Callback, Redirect, SignInFailed

CLIENT: Final = "portal"
SCOPES: Final = (
    "referral.write referral.read case.read case.write disclosure.read disclosure.acknowledge "
    "audit.read audit.verify directory.read agency.manage"
)
_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Authorizer:
    """Fulfils `portal.sign_in.ports.Authorization`: speaks with identity for one portal."""

    def __init__(
        self,
        issuer: str,
        callback: str,
        resource: str,
        *,
        signing: SigningKey,
        http: httpx2.AsyncClient,
        clock: Clock,
    ) -> None:
        """`callback` is the registered redirect URI.

        `resource` is the service the first token is for: identity's own API.
        """
        self._issuer = issuer
        self._resource = resource
        self._callback = callback
        self._signing = signing
        self._http = http
        self._clock = clock

    async def begin(
        self, asked: Mapping[str, str] | None = None, draft: Draft | None = None
    ) -> Redirect:
        """Push the request and say where to go. Raises SignInFailed."""
        # An earlier sign-in at the server must not answer a second one.
        second = {} if asked is None else {**asked, "prompt": "login"}
        dpop = generate_signing(CLIENT)
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(32)
        form = {
            "response_type": "code",
            "redirect_uri": self._callback,
            **second,
            "scope": " ".join(dict.fromkeys(f"{SCOPES} {second.get('scope', '')}".split())),
            "state": state,
            "code_challenge": b64u(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
            "dpop_jkt": dpop.kid,
        }
        body = await self._post("/par", form, dpop, expected=201)
        query = urlencode({"client_id": CLIENT, "request_uri": body["request_uri"]})
        location = f"{self._issuer}/authorize?{query}"
        return Redirect(
            location,
            PendingSignIn(state, verifier, dpop.jwk(private=True), self._clock.now(), draft),
        )

    async def complete(self, pending: PendingSignIn, back: Callback) -> Grantings:
        """Exchange the code. Only the times of the first access token are read.

        Raises SignInFailed.
        """
        if not secrets.compare_digest(back.state.encode(), pending.state.encode()):
            raise SignInFailed("state")
        if back.iss != self._issuer:  # RFC 9207: a mix-up with another server ends here
            raise SignInFailed("issuer")
        form = {
            "grant_type": "authorization_code",
            "code": back.code,
            "redirect_uri": self._callback,
            "code_verifier": pending.verifier,
            "resource": self._resource,
        }
        body = await self._post(
            "/token", form, signing_from_jwk(pending.dpop_jwk, CLIENT), expected=200
        )
        try:
            # Straight from the issuer: its users verify it, we only read times.
            claims = claims_of(body["access_token"])
        except JwsRefused:
            raise SignInFailed("token") from None
        auth_time = claims.get("auth_time")
        return Grantings(
            refresh_token=body["refresh_token"],
            scope=str(body.get("scope", "")),
            issuer=self._issuer,
            acr=str(claims.get("acr") or ""),
            auth_time=auth_time if isinstance(auth_time, int) else None,
        )

    async def token(
        self, grantings: Grantings, dpop: SigningKey, *, resource: str, scope: str
    ) -> tuple[str, int]:
        """Return a fresh access token for one service, and its life in seconds.

        Raises TokenRefused (common.web.client).
        """
        form = {
            "grant_type": "refresh_token",
            "refresh_token": grantings.refresh_token,
            "resource": resource,
            "scope": scope,
        }
        try:
            body = await self._post("/token", form, dpop, expected=200)
        except SignInFailed as failed:
            raise TokenRefused(failed.code) from None
        return str(body["access_token"]), int(body.get("expires_in", 60))

    async def revoke(self, session: Session) -> None:
        """End everything the visit was given.

        When the server does not answer, the tokens run out by themselves.
        """
        try:
            form = {"token": session.grantings.refresh_token, "token_type_hint": "refresh_token"}
            await self._post(
                "/revoke", form, signing_from_jwk(session.dpop_jwk, CLIENT), expected=200
            )
        except SignInFailed:
            return

    async def _post(
        self, path: str, form: dict[str, str], dpop: SigningKey, *, expected: int
    ) -> dict[str, Any]:
        url = self._issuer + path
        source = TokenSource(
            self._issuer,
            CLIENT,
            signing=self._signing,
            dpop_key=dpop,
            http=self._http,
            clock=self._clock,
        )
        sent = {
            **form,
            "client_id": CLIENT,
            "client_assertion_type": _ASSERTION_TYPE,
            "client_assertion": source.assertion(),
        }
        try:
            answer = await self._http.post(
                url,
                data=sent,
                headers={"DPoP": make_proof(dpop, "POST", url, at=self._clock.now())},
            )
            body = parse(answer.content) if answer.content else {}
        except (httpx2.HTTPError, ValueError):
            raise SignInFailed("unreachable") from None
        if answer.status_code != expected or not isinstance(body, dict):
            raise SignInFailed(
                str(body.get("error", "refused"))[:40] if isinstance(body, dict) else "refused"
            )
        return body


class IdentityPeople:
    """Fulfils `portal.sign_in.ports.People`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def me(self) -> Person:
        """Name who is signed in."""
        about = await self._calls.get("identity", "/v1/me", "directory.read")
        return Person(about["id"], about["name"], about["agency"], tuple(about["roles"]))


class PersonTokens:
    """Access tokens of one visit, one per service and scope.

    Fulfils `common.web.client.Tokens`.
    """

    def __init__(self, authorizer: Authorizer, session: Session, clock: Clock) -> None:
        self._authorizer = authorizer
        self._grantings = session.grantings
        self.dpop_key = signing_from_jwk(session.dpop_jwk, CLIENT)
        self._clock = clock
        self._held: dict[tuple[str, str], tuple[str, float]] = {}

    async def token(self, audience: str, scope: str) -> str:
        """Return a token for that service. Raises TokenRefused."""
        held = self._held.get((audience, scope))
        if held is None or held[1] <= self._clock.monotonic():
            token, life = await self._authorizer.token(
                self._grantings, self.dpop_key, resource=audience, scope=scope
            )
            held = self._held[(audience, scope)] = (
                token,
                self._clock.monotonic() + max(5, life - 30),
            )
        return held[0]

    def forget(self, audience: str, scope: str) -> None:
        """Ask anew next time."""
        self._held.pop((audience, scope), None)
