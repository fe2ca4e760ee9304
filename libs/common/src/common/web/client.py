"""Calls to the hub's services: DPoP-bound client-credentials tokens, careful retries, problems as
exceptions."""

import asyncio
import logging
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, Protocol

import httpx2
import stamina
from opentelemetry import propagate

from common.telemetry import describe
from common.web import correlation
from hubformats import jws
from hubformats.answers import CallFailed, ProblemAnswer, TokenRefused, json_object
from hubformats.clock import Clock
from hubformats.discovery import metadata_places
from hubformats.dpop import make_proof
from hubformats.ids import opaque, uuid7
from hubformats.keys import SigningKey

_ASSERTION_LIFE: Final = timedelta(seconds=60)
_EARLY_SECONDS: Final = 30.0
_TRIES: Final = 4
_PAUSE_SECONDS: Final = 0.1  # before the second try; each later pause is twice the one before
_PATIENCE_SECONDS: Final = 2.0
"""A service that asks for a longer pause than this is not asked again: the caller decides."""
_RETRYABLE: Final = frozenset({409, 429, 502, 503, 504})
_SAFE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_log = logging.getLogger("hub.client")


class Tokens(Protocol):
    """Gives access tokens and the key they are bound to."""

    dpop_key: SigningKey

    async def token(self, audience: str, scope: str) -> str:
        """Return a token that is valid for at least some seconds. Raises TokenRefused."""
        ...

    def forget(self, audience: str, scope: str) -> None:
        """Stop handing out that token: the service refused it."""
        ...


class TokenSource:
    """Gets client-credentials tokens with DPoP and keeps them until shortly before expiry.

    The client is authenticated by private_key_jwt (RFC 7523); `aud` is the issuer as one string.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        *,
        signing: SigningKey,
        dpop_key: SigningKey,
        http: httpx2.AsyncClient,
        clock: Clock,
    ) -> None:
        """`signing` authenticates the client; tokens are bound to `dpop_key`."""
        self._issuer = issuer
        self._client_id = client_id
        self._signing = signing
        self.dpop_key = dpop_key
        self._http = http
        self._clock = clock
        self._held: dict[tuple[str, str], tuple[str, float]] = {}
        self._endpoint: str | None = None
        self._lock = asyncio.Lock()

    async def token(self, audience: str, scope: str) -> str:
        """Return a token for `audience` with `scope` (space separated). Raises TokenRefused."""
        if (held := self._kept(audience, scope)) is None:
            async with self._lock:
                if (held := self._kept(audience, scope)) is None:
                    held, life = await self._ask(audience, scope)
                    self._held[(audience, scope)] = held, self._clock.monotonic() + life
        return held

    def _kept(self, audience: str, scope: str) -> str | None:
        token, until = self._held.get((audience, scope), ("", 0.0))
        return token if token and until > self._clock.monotonic() else None

    def forget(self, audience: str, scope: str) -> None:
        """Ask anew next time."""
        self._held.pop((audience, scope), None)

    def assertion(self) -> str:
        """Sign a fresh client assertion (RFC 7523 section 3)."""
        now = self._clock.now()
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._issuer,
            "jti": opaque(),
            "iat": int(now.timestamp()),
            "exp": int((now + _ASSERTION_LIFE).timestamp()),
        }
        return jws.sign(claims, self._signing, typ="JWT")

    async def _ask(self, audience: str, scope: str) -> tuple[str, float]:
        """Return a new token and the seconds for which to keep it."""
        form = {
            "grant_type": "client_credentials",
            "scope": scope,
            "resource": audience,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }
        try:
            endpoint = await self._token_endpoint()
            proof = make_proof(self.dpop_key, "POST", endpoint, at=self._clock.now())
            answer = await self._http.post(
                endpoint,
                data={**form, "client_id": self._client_id, "client_assertion": self.assertion()},
                headers={"DPoP": proof},
            )
            body = json_object(answer.content)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            _log.warning("token endpoint not reached", extra={"error": describe(error)})
            raise TokenRefused("unreachable") from None
        token, life = body.get("access_token"), body.get("expires_in")
        bound = str(body.get("token_type")).lower() == "dpop"
        if answer.status_code != 200 or not isinstance(token, str) or not bound:
            raise TokenRefused(str(body.get("error", "unusable"))[:40])
        return token, max(5.0, (life if isinstance(life, int) else 60) - _EARLY_SECONDS)

    async def _token_endpoint(self) -> str:
        if self._endpoint is None:
            for place in metadata_places(self._issuer):
                answer = await self._http.get(place)
                metadata = json_object(answer.content) if answer.status_code == 200 else {}
                endpoint = metadata.get("token_endpoint")
                if metadata.get("issuer") == self._issuer and isinstance(endpoint, str):
                    self._endpoint = endpoint
                    return endpoint
            raise TokenRefused("unreachable")
        return self._endpoint


class ServiceClient:
    """Calls one service.

    Retries only what is safe to repeat: idempotent methods, and POSTs with an Idempotency-Key.
    """

    def __init__(
        self,
        base_url: str,
        tokens: Tokens,
        *,
        http: httpx2.AsyncClient,
        clock: Clock,
        timeout: float = 5.0,
    ) -> None:
        """`base_url` is the audience of the tokens too; `timeout` is for one try, in seconds."""
        self._base_url = base_url
        self._tokens = tokens
        self._http = http
        self._clock = clock
        self._timeout = timeout

    async def call(
        self,
        method: str,
        path: str,
        *,
        scope: str,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, str | int] | None = None,
        idempotency_key: str | None = None,
    ) -> httpx2.Response:
        """Make one call, repeated while that is safe, worth it and within the service's patience.

        Raises ProblemAnswer for 4xx and 5xx, CallFailed if no answer came, TokenRefused.
        """
        headers = {
            "Accept": "application/json",
            "X-Correlation-ID": correlation.current() or str(uuid7()),
        }
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        request = self._http.build_request(
            method,
            self._base_url + path,
            json=json,
            params=params,
            headers=headers,
            timeout=self._timeout,
        )
        tries = _TRIES if method in _SAFE or idempotency_key is not None else 1
        try:
            async for attempt in stamina.retry_context(
                _pause_before_another,
                attempts=tries,
                timeout=None,
                wait_initial=_PAUSE_SECONDS,
                wait_jitter=0,
            ):
                with attempt:
                    return await self._answered(request, path, scope)
        except httpx2.HTTPError as error:
            _log.warning("service not reached", extra={"error": describe(error)})
            raise CallFailed(type(error).__name__) from None
        raise CallFailed("unreachable")

    async def _answered(self, request: httpx2.Request, path: str, scope: str) -> httpx2.Response:
        answer = await self._send(request, path, scope)
        if answer.status_code == 401:
            # The token was refused, so nothing happened: once more with a new one.
            self._tokens.forget(self._base_url, scope)
            answer = await self._send(request, path, scope)
        if answer.status_code < 400:
            return answer
        told = answer.headers.get("retry-after", "")
        seconds = int(told) if re.fullmatch("[0-9]{1,6}", told) else None
        raise ProblemAnswer(answer.status_code, json_object(answer.content), seconds)

    async def _send(self, request: httpx2.Request, path: str, scope: str) -> httpx2.Response:
        token, key = await self._tokens.token(self._base_url, scope), self._tokens.dpop_key
        url, now = self._base_url + path, self._clock.now()
        proof = make_proof(key, request.method, url, at=now, token=token)
        request.headers.update({"Authorization": f"DPoP {token}", "DPoP": proof})
        propagate.inject(request.headers)
        return await self._http.send(request)


def _pause_before_another(error: Exception) -> bool | float:
    """Tell stamina whether to try again: after its own pause (True) or after so many seconds."""
    if not isinstance(error, ProblemAnswer):
        return isinstance(error, httpx2.HTTPError)
    # Of the conflicts only "still being handled" ends by itself.
    if error.status not in _RETRYABLE or (
        error.status == 409 and error.code != "idempotency-in-flight"
    ):
        return False
    if error.retry_after is None:
        return True
    return error.retry_after <= _PATIENCE_SECONDS and float(error.retry_after)
