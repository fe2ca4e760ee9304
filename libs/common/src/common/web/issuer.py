"""The one issuer this service trusts by URL: finds its keys by RFC 8414 and keeps them."""

import asyncio
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
    """Keys of an issuer by kid.

    One fetch at a time; an unknown kid asks again at most every ten seconds.
    """

    def __init__(self, url: str, http: httpx2.AsyncClient, clock: Clock) -> None:
        """`url` must equal the `issuer` of the metadata found there (RFC 8414 section 3.3)."""
        self.url = url
        self._http = http
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    async def key(self, kid: str) -> Key | None:
        """The key, or None if the issuer does not have it.

        Raises IssuerUnreachable if it never answered.
        """
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
        # Before the first success every request may try: a service that started before its issuer
        # must not wait.
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
        answer = await self._http.get(
            place,
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
            headers={"Accept": "application/json"},
        )
        answer.raise_for_status()
        value = parse(answer.content)
        if not isinstance(value, dict):
            raise CanonicalError("not an object")
        return value


def _usable(key_set: dict[str, Any]) -> dict[str, Key]:
    """Signature keys by kid.

    A kid that comes twice is left out: which of the two signed would be a guess.
    """
    found: dict[str, Key] = {}
    twice: set[str] = set()
    entries = key_set.get("keys")
    for entry in entries if isinstance(entries, list) else []:
        if (
            not isinstance(entry, dict)
            or entry.get("use", "sig") != "sig"
            or not isinstance(entry.get("kid"), str)
            or entry.get("kty") == "oct"
        ):
            continue
        kid = entry["kid"]
        if kid in found:
            twice.add(kid)
        try:
            found[kid] = JWKRegistry.import_key(entry)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return {kid: key for kid, key in found.items() if kid not in twice}
