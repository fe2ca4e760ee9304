"""Calls to the other services, each with the signed-in person's own token."""

from collections.abc import Mapping
from typing import Any

import httpx2

from common.web.client import ServiceClient, Tokens
from hubformats import answers
from hubformats.clock import Clock
from hubformats.ids import opaque
from portal.shell.model import CallRefused, NoAnswer, TokenRefused


class PersonCalls:
    """Fulfils `portal.shell.ports.Calls`."""

    def __init__(
        self, urls: Mapping[str, str], tokens: Tokens, *, http: httpx2.AsyncClient, clock: Clock
    ) -> None:
        """`urls` maps each service's name to its base URL."""
        self._services = {
            name: ServiceClient(url, tokens, http=http, clock=clock, timeout=10.0)
            for name, url in urls.items()
        }

    async def get(
        self, service: str, path: str, scope: str, params: Mapping[str, str | int] | None = None
    ) -> Any:
        """Read something. Returns the parsed body."""
        return await self._call(service, "GET", path, scope=scope, params=params)

    async def post(self, service: str, path: str, scope: str, body: Mapping[str, Any]) -> Any:
        """Do something that is safe to repeat."""
        return await self._call(
            service, "POST", path, scope=scope, json=body, idempotency_key=opaque()
        )

    async def post_once(self, service: str, path: str, scope: str, body: Mapping[str, Any]) -> Any:
        """Do something that a person repeats, never the portal by itself."""
        return await self._call(service, "POST", path, scope=scope, json=body)

    async def _call(self, service: str, method: str, path: str, **told: Any) -> Any:
        try:
            answer = await self._services[service].call(method, path, **told)
        except answers.ProblemAnswer as refused:
            raise CallRefused(refused.status, refused.code) from None
        except answers.CallFailed as failed:
            raise NoAnswer(str(failed), reading=method == "GET") from None
        except answers.TokenRefused as refused:
            raise TokenRefused(refused.code) from None
        return answer.json() if answer.content else None
