"""Decides from a request's own headers who is calling: RFC 9068 token, RFC 9449 proof, and the
agency's state of the moment."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import httpx2
from fastapi import Request
from joserfc import jws
from joserfc.errors import JoseError

from common.access import SCOPES, Principal
from common.directory import DirectoryState
from common.problems import Problem
from common.settings import Settings
from common.web.edge import inner_path
from common.web.issuer import Issuer, IssuerUnreachable
from hubformats.canonical import CanonicalError, parse, unb64u
from hubformats.clock import Clock
from hubformats.dpop import ALGORITHMS, DpopRefused, ReplayGuard, algorithms_of, check_proof

_LEEWAY_SECONDS: Final = 10
_MAX_TOKEN: Final = 8192
_CACHE: Final = 4096
_CHALLENGE: Final = 'DPoP algs="ES256 PS256 EdDSA"'


class _TokenRefused(ValueError):
    """The token does not count; which rule it broke is nobody's business outside."""


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    jkt: str
    expires: int
    epoch: int


class TokenVerifier:
    """Verifies access tokens of one issuer for one audience.

    Remembers verified ones until expiry or a change of agency state.
    """

    def __init__(
        self, issuer: Issuer, audience: str, clock: Clock, directory: DirectoryState
    ) -> None:
        """`audience` is this service's base URL."""
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._directory = directory
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def verify(self, token: str) -> tuple[Principal, str]:
        """The caller and the thumbprint of the key the token is bound to.

        Raises _TokenRefused or IssuerUnreachable.

        1 size and form; 2 `typ`, algorithm of the allow-list; 3 issuer; 4 key by kid, algorithm of
        that key; 5 signature; 6 audience, times, subject; 7 bound to a key; 8 our own claims.
        """
        name = hashlib.sha256(token.encode()).digest()
        known = self._known.get(name)
        now = int(self._clock.now().timestamp())
        if (
            known is not None
            and known.expires + _LEEWAY_SECONDS > now
            and known.epoch == self._directory.epoch(known.principal.agency)
        ):
            return known.principal, known.jkt
        claims = await self._claims(token)
        _check_times(claims, now)
        _check_audience(claims, self._audience)
        principal, jkt = _principal(claims, self._issuer.url), _bound_key(claims)
        self._known[name] = _Known(
            principal, jkt, claims["exp"], self._directory.epoch(principal.agency)
        )
        while len(self._known) > _CACHE:
            self._known.popitem(last=False)
        return principal, jkt

    async def _claims(self, token: str) -> Mapping[str, Any]:
        parts = token.split(".")
        if len(token) > _MAX_TOKEN or len(parts) != 3:  # 1
            raise _TokenRefused
        header, claims = _object(parts[0]), _object(parts[1])
        if (
            str(header.get("typ", "")).lower() not in {"at+jwt", "application/at+jwt"}
            or header.get("alg") not in ALGORITHMS
        ):
            # 2
            raise _TokenRefused
        kid = header.get("kid")
        if claims.get("iss") != self._issuer.url or not isinstance(kid, str) or "crit" in header:
            # 3
            raise _TokenRefused
        key = await self._issuer.key(kid)
        if key is None or header["alg"] not in algorithms_of(key):  # 4
            raise _TokenRefused
        try:
            jws.deserialize_compact(token.encode(), key, algorithms=list(ALGORITHMS))  # 5
        except (JoseError, ValueError, TypeError):
            raise _TokenRefused from None
        return claims


class Access:
    """The Authenticator of a service: token, proof, replay and agency state, in that order.

    Anything short of certainty is refused.
    """

    def __init__(
        self,
        verifier: TokenVerifier,
        directory: DirectoryState,
        replay: ReplayGuard,
        clock: Clock,
        base_url: str,
    ) -> None:
        """`base_url` is where callers reach this service: DPoP `htu` is compared with it,
        never with a Host header.
        """
        self._verifier = verifier
        self._directory = directory
        self._replay = replay
        self._clock = clock
        self._base_url = base_url

    async def authenticate(self, request: Request) -> Principal:
        """The caller. Raises Problem."""
        token = _dpop_token(request)
        try:
            principal, jkt = await self._verifier.verify(token)
        except _TokenRefused:
            _unauthorized("invalid_token")
        except IssuerUnreachable:
            raise Problem("issuer-unreachable", headers={"Retry-After": "5"}) from None
        offered = request.headers.getlist("dpop")
        if len(offered) != 1:
            _proof_refused()
        try:
            place = self._base_url + inner_path(request.scope)
            proof = check_proof(
                offered[0], method=request.method, url=place, now=self._clock.now(), token=token
            )
        except DpopRefused:
            _proof_refused()
        if proof.jkt != jkt or not await self._replay.first_use(
            proof.jkt, proof.jti, proof.expires_at
        ):
            _proof_refused()
        # The token is theirs: from here a refusal has a name.
        request.state.principal = principal
        self._directory.demand(principal.agency)
        return principal


def access_for(
    settings: Settings,
    *,
    http: httpx2.AsyncClient,
    clock: Clock,
    directory: DirectoryState,
    replay: ReplayGuard,
) -> Access:
    """The usual Access of a service: issuer and audience from settings."""
    verifier = TokenVerifier(
        Issuer(settings.issuer, http, clock), settings.service_url, clock, directory
    )
    return Access(verifier, directory, replay, clock, settings.service_url)


def _dpop_token(request: Request) -> str:
    headers = request.headers.getlist("authorization")
    if not headers:
        raise Problem("unauthorized", headers={"WWW-Authenticate": _CHALLENGE})
    scheme, _, token = headers[0].partition(" ")
    # A DPoP-bound token sent as Bearer is refused like any other scheme (RFC 9449 section 7.2).
    if len(headers) != 1 or scheme.lower() != "dpop" or not token.isascii():
        _unauthorized("invalid_token")
    return token.strip()


def _unauthorized(error: str) -> NoReturn:
    raise Problem(
        "unauthorized", headers={"WWW-Authenticate": f'{_CHALLENGE}, error="{error}"'}
    ) from None


def _proof_refused() -> NoReturn:
    raise Problem(
        "dpop-proof-refused",
        headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_dpop_proof"'},
    ) from None


def _object(part: str) -> dict[str, Any]:
    try:
        value = parse(unb64u(part), max_bytes=_MAX_TOKEN)
    except CanonicalError:
        raise _TokenRefused from None
    if not isinstance(value, dict):
        raise _TokenRefused
    return value


def _check_times(claims: Mapping[str, Any], now: int) -> None:
    expires, begins = _seconds(claims, "exp", None), _seconds(claims, "nbf", 0)
    issued = _seconds(claims, "iat", 0)
    if expires + _LEEWAY_SECONDS <= now or max(begins, issued) > now + _LEEWAY_SECONDS:
        raise _TokenRefused


def _seconds(claims: Mapping[str, Any], name: str, default: int | None) -> int:
    value = claims.get(name, default)
    if type(value) is not int:
        raise _TokenRefused
    return value


def _check_audience(claims: Mapping[str, Any], audience: str) -> None:
    offered = claims.get("aud")
    if offered != audience and not (isinstance(offered, list) and audience in offered):
        raise _TokenRefused


def _bound_key(claims: Mapping[str, Any]) -> str:
    bound = claims.get("cnf")
    jkt = bound.get("jkt") if isinstance(bound, dict) else None
    if not isinstance(jkt, str) or not jkt:
        raise _TokenRefused
    return jkt


def _principal(claims: Mapping[str, Any], issuer: str) -> Principal:
    subject, client, agency = (_text(claims, name) for name in ("sub", "client_id", "agency"))
    roles = claims.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise _TokenRefused
    return Principal(
        issuer=issuer,
        subject=subject,
        client_id=client,
        kind="system" if subject == client else "person",
        agency=agency,
        roles=frozenset(roles),
        scopes=SCOPES & frozenset(str(claims.get("scope", "")).split()),
        acr=claims["acr"] if isinstance(claims.get("acr"), str) else None,
        auth_time=claims["auth_time"] if type(claims.get("auth_time")) is int else None,
        name_ref=claims["name_ref"] if isinstance(claims.get("name_ref"), str) else None,
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 255:
        raise _TokenRefused
    return value
