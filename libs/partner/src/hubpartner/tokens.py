"""Access tokens of a profile, bound to a key. They are asked for with a signed assertion and kept
until shortly before they expire."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx2

from hubformats.answers import TokenRefused, json_object
from hubformats.clock import Clock
from hubformats.discovery import metadata_places
from hubformats.dpop import make_proof
from hubformats.ids import opaque
from hubformats.jws import sign
from hubpartner.profile import Profile

_ASSERTION_LIFE: Final = timedelta(seconds=60)
_EARLY_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class _Held:
    token: str
    until: float


class TokenSource:
    """Gets tokens by client credentials with private_key_jwt (RFC 7523) and DPoP (RFC 9449)."""

    def __init__(self, profile: Profile, http: httpx2.AsyncClient, clock: Clock) -> None:
        """`profile` names issuer and client, and holds the keys that sign."""
        self._profile = profile
        self._http = http
        self._clock = clock
        self._held: dict[tuple[str, str], _Held] = {}
        self._endpoint: str | None = None
        self._lock = asyncio.Lock()

    async def token(self, audience: str, scope: str) -> str:
        """Return a token for `audience` with `scope` (space separated). Raises TokenRefused."""
        async with self._lock:
            held = self._held.get((audience, scope))
            if held is None or held.until <= self._clock.monotonic():
                held = self._held[(audience, scope)] = await self._ask(audience, scope)
            return held.token

    def forget(self, audience: str, scope: str) -> None:
        """Ask anew next time: the service refused the token."""
        self._held.pop((audience, scope), None)

    def proof(self, method: str, url: str, token: str | None = None) -> str:
        """Make a DPoP proof for one request made now."""
        return make_proof(self._profile.dpop, method, url, at=self._clock.now(), token=token)

    def _assertion(self) -> str:
        """Make a fresh client assertion (RFC 7523 section 3); `aud` is the issuer as one string."""
        now = self._clock.now()
        claims = {
            "iss": self._profile.client_id,
            "sub": self._profile.client_id,
            "aud": self._profile.issuer,
            "jti": opaque(),
            "iat": int(now.timestamp()),
            "exp": int((now + _ASSERTION_LIFE).timestamp()),
        }
        return sign(claims, self._profile.signing, typ="JWT")

    async def _ask(self, audience: str, scope: str) -> _Held:
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "resource": audience,
            "client_id": self._profile.client_id,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }
        try:
            endpoint = await self._token_endpoint()
            answer = await self._http.post(
                endpoint,
                data={**form, "client_assertion": self._assertion()},
                headers={"DPoP": self.proof("POST", endpoint)},
            )
        except (httpx2.HTTPError, httpx2.InvalidURL):
            raise TokenRefused("unreachable") from None
        body = json_object(answer.content)
        token, life = body.get("access_token"), body.get("expires_in")
        bound = str(body.get("token_type")).lower() == "dpop"
        if answer.status_code != 200 or not isinstance(token, str) or not bound:
            raise TokenRefused(str(body.get("error", "unusable"))[:40])
        seconds = life if isinstance(life, int) else 60
        return _Held(token, self._clock.monotonic() + max(5.0, seconds - _EARLY_SECONDS))

    async def _token_endpoint(self) -> str:
        if self._endpoint is None:
            for place in metadata_places(self._profile.issuer):
                answer = await self._http.get(place)
                metadata = json_object(answer.content) if answer.status_code == 200 else {}
                endpoint = metadata.get("token_endpoint")
                # Metadata of another issuer gets no assertion (RFC 8414 section 3.3).
                if metadata.get("issuer") == self._profile.issuer and isinstance(endpoint, str):
                    self._endpoint = endpoint
                    return endpoint
            raise TokenRefused("unreachable")
        return self._endpoint
