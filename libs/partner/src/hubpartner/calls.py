"""Calls of one service of the hub: signed, repeated only where that is safe, refusals as
exceptions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import stamina

from hubformats.ids import uuid7
from hubpartner.answers import CallFailed, ProblemAnswer, problem_of
from hubpartner.tokens import TokenSource

_READY_SECONDS: Final = 5.0
_TRIES: Final = 4
_PAUSE_SECONDS: Final = 0.1
_MOST_SECONDS: Final = 30.0
"""A service that wants to be left alone for longer is not waited for: the caller decides."""
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
_SAFE: Final = frozenset({"GET", "HEAD", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `path` follows the service's URL; `try_seconds` is the limit of one try."""

    method: str
    path: str
    scope: str
    json: Mapping[str, Any] | None = None
    params: Mapping[str, str | int] = field(default_factory=dict)
    idempotency_key: str | None = None
    try_seconds: float = 20.0

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once."""
        return self.method in _SAFE or self.idempotency_key is not None


class Service:
    """One service of the hub, called as a profile."""

    def __init__(self, url: str, tokens: TokenSource, http: httpx2.AsyncClient) -> None:
        """`url` is the service's, and the audience of the tokens."""
        self._url = url
        self._tokens = tokens
        self._http = http

    async def send(self, call: Call) -> dict[str, Any]:
        """Send the call, repeated as promised; return the answer's members, empty if it has none.

        Raises ProblemAnswer for 4xx and 5xx, CallFailed if no answer came, TokenRefused.
        """
        headers = {"Accept": "application/json", "X-Correlation-ID": str(uuid7())}
        if call.idempotency_key is not None:
            headers["Idempotency-Key"] = call.idempotency_key
        async for attempt in stamina.retry_context(
            _pause_after if call.repeatable else _never,
            attempts=_TRIES,
            timeout=None,
            wait_initial=_PAUSE_SECONDS,
            wait_jitter=_PAUSE_SECONDS,
        ):
            with attempt:
                return await self._once(call, headers)
        raise CallFailed("unreachable")

    async def readiness(self) -> dict[str, Any]:
        """Say what the service says of itself, ready or not; it needs no token.

        Raises CallFailed if no service answers.
        """
        try:
            answer = await self._http.get(self._url + "/readyz", timeout=_READY_SECONDS)
            told: dict[str, Any] = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise CallFailed(type(error).__name__) from None
        return told

    async def _once(self, call: Call, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            answer = await self._signed(call, headers)
            if answer.status_code == 401:
                # A refused token had no effect: once more with a new one.
                self._tokens.forget(self._url, call.scope)
                answer = await self._signed(call, headers)
        except httpx2.HTTPError as error:
            raise CallFailed(type(error).__name__) from None
        if answer.status_code >= 400:
            raise problem_of(answer)
        try:
            members: dict[str, Any] = answer.json() if answer.content else {}
        except ValueError:
            raise CallFailed("an answer that is not JSON") from None
        return members

    async def _signed(self, call: Call, headers: Mapping[str, str]) -> httpx2.Response:
        url = self._url + call.path
        token = await self._tokens.token(self._url, call.scope)
        proof = self._tokens.proof(call.method, url, token)
        return await self._http.request(
            call.method,
            url,
            json=call.json,
            params=call.params,
            headers={**headers, "Authorization": f"DPoP {token}", "DPoP": proof},
            timeout=call.try_seconds,
        )


def _never(_error: Exception) -> bool:
    return False


def _pause_after(error: Exception) -> bool | float:
    """Tell whether to try again after `error`; seconds to wait when the service named them."""
    if isinstance(error, CallFailed):
        return True
    if not isinstance(error, ProblemAnswer):
        return False
    # Of the conflicts only "still being handled" ends by itself.
    handled = error.status == 409 and error.code == "idempotency-in-flight"
    if not handled and error.status not in _RETRYABLE:
        return False
    if error.retry_after is None:
        return True
    return error.retry_after if error.retry_after <= _MOST_SECONDS else False
