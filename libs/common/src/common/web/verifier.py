"""Decides from a request's own headers who is calling: RFC 9068 token, RFC 9449 proof, and the
agency's state of the moment."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

import httpx2
from fastapi import Request
from joserfc import jws
from joserfc.errors import JoseError
from pydantic import BaseModel, ConfigDict, Field

from common.access import SCOPES, Principal
from common.directory import DirectoryState
from common.problems import Problem
from common.settings import Settings
from common.web.edge import inner_path
from common.web.issuer import Issuer, IssuerUnreachable
from common.web.observe import ASKED
from hubformats.canonical import CanonicalError, parse, unb64u
from hubformats.clock import Clock
from hubformats.dpop import ALGORITHMS, DpopRefused, ReplayGuard, algorithms_of, check_proof

_LEEWAY_SECONDS: Final = 10
_MAX_TOKEN: Final = 8192
_CACHE: Final = 4096
_TYPES: Final = frozenset({"at+jwt", "application/at+jwt"})
_CHALLENGE: Final = 'DPoP algs="ES256 PS256 EdDSA"'


class _TokenRefused(ValueError):
    """The token does not count; which rule it broke is nobody's business outside."""


_Text = Annotated[str, Field(min_length=1, max_length=255)]


class _Bound(BaseModel):
    jkt: Annotated[str, Field(min_length=1)]


class _Claims(BaseModel):
    """Claims of an access token (RFC 9068 section 2.2, RFC 9449 section 6.1) and our own."""

    model_config = ConfigDict(strict=True, frozen=True)

    iss: str
    aud: str | list[str]
    exp: int
    nbf: int = 0
    iat: int = 0
    sub: _Text
    client_id: _Text
    jti: _Text
    cnf: _Bound
    scope: str = ""
    agency: _Text
    roles: list[str] = []
    acr: str | None = None
    auth_time: int | None = None
    name_ref: str | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    jkt: str
    expires: int
    epoch: int
    jti: str
    issued: int


class TokenVerifier:
    """Verifies access tokens of one issuer for one audience.

    Remembers a verified token until it expires or the state of its agency changes. Asks the
    directory's copy each time whether it was ended since.
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
        """Return the caller and the thumbprint of the key the token is bound to.

        1 size and form. 2 `typ`, algorithm of the allow-list. 3 issuer. 4 key by kid, algorithm of
        that key. 5 signature. 6 form of the claims, the key the token is bound to among them. 7
        audience and times. 8 not ended before its time. Raises _TokenRefused or IssuerUnreachable.
        """
        name = hashlib.sha256(token.encode()).digest()
        known = self._known.get(name)
        now = int(self._clock.now().timestamp())
        if (
            known is None
            or known.expires + _LEEWAY_SECONDS <= now
            or known.epoch != self._directory.epoch(known.principal.agency)
        ):
            known = self._known[name] = await self._judged(token, now)
            while len(self._known) > _CACHE:
                self._known.popitem(last=False)
        if self._directory.ended(known.principal.agency, known.jti, known.issued):  # 8
            raise _TokenRefused
        return known.principal, known.jkt

    async def _judged(self, token: str, now: int) -> _Known:
        claims = await self._claims(token)
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        begins = max(claims.nbf, claims.iat)
        if (  # 7
            self._audience not in audiences
            or claims.exp + _LEEWAY_SECONDS <= now
            or begins > now + _LEEWAY_SECONDS
        ):
            raise _TokenRefused
        epoch = self._directory.epoch(claims.agency)
        return _Known(_principal(claims), claims.cnf.jkt, claims.exp, epoch, claims.jti, claims.iat)

    async def _claims(self, token: str) -> _Claims:
        parts = token.split(".")
        if len(token) > _MAX_TOKEN or len(parts) != 3:  # 1
            raise _TokenRefused
        header, found = _object(parts[0]), _object(parts[1])
        kind = str(header.get("typ", "")).lower()
        if kind not in _TYPES or header.get("alg") not in ALGORITHMS:  # 2
            raise _TokenRefused
        kid = header.get("kid")
        if found.get("iss") != self._issuer.url or not isinstance(kid, str) or "crit" in header:
            raise _TokenRefused  # 3
        key = await self._issuer.key(kid)
        if key is None or header["alg"] not in algorithms_of(key):  # 4
            raise _TokenRefused
        try:
            jws.deserialize_compact(token.encode(), key, algorithms=list(ALGORITHMS))  # 5
            return _Claims.model_validate(found)  # 6
        except (JoseError, ValueError, TypeError):
            raise _TokenRefused from None


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
        """Authenticate the caller. Raises Problem."""
        token = _dpop_token(request)
        try:
            principal, jkt = await self._verifier.verify(token)
        except _TokenRefused:
            _refuse("unauthorized", "invalid_token")
        except IssuerUnreachable:
            raise Problem("issuer-unreachable", headers={"Retry-After": "5"}) from None
        offered = request.headers.getlist("dpop")
        if len(offered) != 1:
            _refuse("dpop-proof-refused", "invalid_dpop_proof")
        try:
            place = self._base_url + inner_path(request.scope)
            proof = check_proof(
                offered[0],
                method=request.scope["state"].get(ASKED, request.method),
                url=place,
                now=self._clock.now(),
                token=token,
            )
        except DpopRefused as refused:
            _refuse("dpop-proof-refused", "invalid_dpop_proof", refused.hint)
        first = self._replay.first_use
        if proof.jkt != jkt or not await first(proof.jkt, proof.jti, proof.expires_at):
            _refuse("dpop-proof-refused", "invalid_dpop_proof")
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
    """Make the usual Access of a service: issuer and audience from settings."""
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
        _refuse("unauthorized", "invalid_token")
    return token.strip()


def _refuse(code: str, error: str, detail: str = "") -> NoReturn:
    challenge = f'{_CHALLENGE}, error="{error}"'
    raise Problem(code, detail, headers={"WWW-Authenticate": challenge}) from None


def _object(part: str) -> dict[str, Any]:
    try:
        value = parse(unb64u(part), max_bytes=_MAX_TOKEN)
    except CanonicalError:
        raise _TokenRefused from None
    if not isinstance(value, dict):
        raise _TokenRefused
    return value


def _principal(claims: _Claims) -> Principal:
    return Principal(
        issuer=claims.iss,
        subject=claims.sub,
        client_id=claims.client_id,
        kind="system" if claims.sub == claims.client_id else "person",
        agency=claims.agency,
        roles=frozenset(claims.roles),
        scopes=SCOPES & frozenset(claims.scope.split()),
        acr=claims.acr,
        auth_time=claims.auth_time,
        name_ref=claims.name_ref,
    )
