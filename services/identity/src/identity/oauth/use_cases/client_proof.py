"""Client authentication by private_key_jwt, as far as it needs no storage.

RFC 7523; FAPI 2.0 Security Profile 5.3.2.1-6 and -8.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet

from hubformats.clock import Clock
from identity.oauth.model import (
    ASSERTION_LIFE,
    EXPIRY_LEEWAY,
    SIGNATURE_ALGORITHMS,
    SKEW,
    OAuthClient,
)
from identity.oauth.use_cases.authority import Authority, ClientKeys
from identity.oauth.use_cases.exchange import Exchange, Presented

_MAX_ID: Final = 255


class ClientGate:
    """Tells which client sent a request.

    Holds no state: whoever lets the client in must spend the assertion's `jti`.
    """

    def __init__(self, authority: Authority) -> None:
        self._clients = authority.clients
        self._assertion = _Assertion(authority.issuer, authority.clock, authority.client_keys)

    def check(self, request: Exchange) -> Presented:
        """Check and return the client and its assertion.

        Raises InvalidClientError, with one text for every reason.
        """
        try:
            client = self._assertion(self._clients.get, request)
        except InvalidClientError:
            raise
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            _refuse()
        named = request.form.get("client_id", client.id if client else "")
        if (
            client is None
            or request.presented is None
            or named != client.id
            or "client_secret" in request.form
        ):
            _refuse()
        return request.presented


def _refuse() -> NoReturn:
    # One text for every reason: which check failed would help only somebody who is guessing.
    raise InvalidClientError(description="Client authentication failed.", status_code=401) from None


class _Assertion(JWTBearerClientAssertion):
    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, issuer: str, clock: Clock, keys: ClientKeys) -> None:
        super().__init__()
        self._keys = keys
        self._issuer = issuer
        self._clock = clock

    def __call__(self, query_client: Any, request: Exchange) -> OAuthClient | None:
        self._clear(request)
        found: OAuthClient | None = super().__call__(query_client, request)
        if found is not None:
            request.presented = self._presented(found, request.form["client_assertion"])
        return found

    def _clear(self, request: Exchange) -> None:
        request.client = None
        request.presented = None

    def resolve_client_public_key(self, client: OAuthClient) -> KeySet:
        """Return the client's registered keys, none from the assertion (CVE-2026-27962)."""
        return KeySet.import_key_set({"keys": [dict(jwk) for jwk in self._keys.of(client.entry)]})

    def process_assertion_claims(self, assertion: str, resolve_key: KeySet) -> dict[str, Any]:
        """Verify signature and claims, by our clock.

        Authlib's own check would take a list as `aud`, and any `exp`.
        """
        header = jws.extract_compact(assertion.encode()).headers()
        token = jwt.decode(
            assertion, _key_for(header, resolve_key), algorithms=list(SIGNATURE_ALGORITHMS)
        )
        self._check(token.claims)
        return token.claims

    def _check(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.now().timestamp()
        expires, jti = claims.get("exp", 0), claims.get("jti")
        fine = (
            claims.get("iss") == claims.get("sub")
            and claims.get("aud") == self._issuer
            and isinstance(claims["aud"], str)
        )
        fine = fine and isinstance(jti, str) and 0 < len(jti) <= _MAX_ID
        fine = (
            fine
            and _is_time(expires)
            and now - EXPIRY_LEEWAY.total_seconds()
            < expires
            <= now + (ASSERTION_LIFE + SKEW).total_seconds()
        )
        for name in ("iat", "nbf"):
            fine = fine and (
                name not in claims
                or (_is_time(claims[name]) and claims[name] <= now + SKEW.total_seconds())
            )
        if not fine:
            _refuse()

    def _presented(self, client: OAuthClient, assertion: str) -> Presented:
        _, claims = self.extract_assertion(assertion)
        # Kept a little past `exp`, because `_check` accepts it a little past `exp`.
        return Presented(
            client, claims["jti"], datetime.fromtimestamp(claims["exp"], UTC) + EXPIRY_LEEWAY
        )


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**40


def _key_for(header: Mapping[str, Any], keys: KeySet) -> Key:
    # joserfc would try keys of a set by turns; the key is named, or there is only one, and its
    # algorithm is the key's own.
    named = [key for key in keys.keys if header.get("kid", key.kid) == key.kid]
    if (
        len(named) != 1
        or header.get("alg") != named[0].get("alg", header.get("alg"))
        or "crit" in header
    ):
        _refuse()
    return named[0]
