"""The one issuer this service trusts by URL: finds its keys by RFC 8414 and keeps them."""

import asyncio
import contextlib
import logging
from typing import Any, Final

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from common.telemetry import describe
from hubformats.canonical import CanonicalError, parse
from hubformats.clock import Clock
from hubformats.discovery import metadata_places

_LIFE_SECONDS: Final = 600.0
_COOL_DOWN_SECONDS: Final = 10.0
_TIMEOUT_SECONDS: Final = 5.0
_log = logging.getLogger("hub.access")


class IssuerUnreachable(Exception):
    """The issuer's keys were never fetched, so no token can be judged."""


class Issuer:
    """Keys of an issuer by kid, fetched one at a time and at most every ten seconds."""

    def __init__(self, url: str, http: httpx2.AsyncClient, clock: Clock) -> None:
        """`url` must equal the `issuer` of the metadata found there (RFC 8414 section 3.3)."""
        self.url = url
        self._http = http
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> Key | None:
        """Return the key, None if the issuer lacks it. Raises IssuerUnreachable."""
        if self._due(kid):
            async with self._lock:
                if self._due(kid):
                    await self._fetch()
        if not self._keys:
            raise IssuerUnreachable
        return self._keys.get(kid)

    def _due(self, kid: str) -> bool:
        now = self._clock.monotonic()
        wanted = kid not in self._keys or now - self._fetched_at > _LIFE_SECONDS
        # A service that started before its issuer must not wait: until then every request tries.
        return wanted and (not self._keys or now - self._tried_at > _COOL_DOWN_SECONDS)

    async def _fetch(self) -> None:
        self._tried_at = self._clock.monotonic()
        for place in metadata_places(self.url):
            try:
                metadata = await self._json(place)
                if metadata.get("issuer") != self.url:
                    continue
                keys = _usable(await self._json(str(metadata.get("jwks_uri"))))
            except (httpx2.HTTPError, httpx2.InvalidURL, CanonicalError) as error:
                _log.warning("issuer metadata not read", extra={"error": describe(error)})
                continue
            if keys:
                self._keys, self._fetched_at = keys, self._clock.monotonic()
                return

    async def _json(self, place: str) -> dict[str, Any]:
        wanted = {"Accept": "application/json"}
        answer = await self._http.get(
            place, timeout=_TIMEOUT_SECONDS, follow_redirects=False, headers=wanted
        )
        answer.raise_for_status()
        value = parse(answer.content)
        if not isinstance(value, dict):
            raise CanonicalError("not an object")
        return value


def _usable(key_set: dict[str, Any]) -> dict[str, Key]:
    """Return signature keys by kid; of one that comes twice none, for which signed is a guess."""
    found: dict[str, list[Key]] = {}
    entries = key_set.get("keys")
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, dict) or not isinstance(kid := entry.get("kid"), str):
            continue
        if entry.get("use", "sig") == "sig" and entry.get("kty") != "oct":
            with contextlib.suppress(JoseError, ValueError, TypeError, KeyError):
                found.setdefault(kid, []).append(JWKRegistry.import_key(entry))
    return {kid: keys[0] for kid, keys in found.items() if len(keys) == 1}
