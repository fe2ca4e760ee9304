"""DPoP proofs (RFC 9449): made by a client, checked by a server; remembering used ones is behind a
port."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, Protocol
from urllib.parse import unquote, urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from hubformats.canonical import CanonicalError, b64u, parse, unb64u
from hubformats.ids import opaque
from hubformats.jws import sign
from hubformats.keys import SigningKey

ALGORITHMS: Final = ("ES256", "PS256", "EdDSA", "Ed25519")
"""FAPI 2.0 section 5.4 allow-list; Ed25519 is RFC 9864's name of EdDSA on that curve."""

PAST: Final = timedelta(seconds=60)
FUTURE: Final = timedelta(seconds=10)
REMEMBER: Final = timedelta(seconds=120)
"""How long a used `jti` is kept: longer than PAST + FUTURE, so that nothing still acceptable is
forgotten.
"""

_MAX_PROOF: Final = 4096
_DAY: Final = 86_400
# parsed ones kept: the clients of a region, a few hundred, and little memory whoever sends them
_HEADERS: Final = 512


class _Registry(jws.JWSRegistry):
    max_header_length = _MAX_PROOF  # joserfc's own 512 has no room for an RSA key in the header


_REGISTRY: Final = _Registry(algorithms=list(ALGORITHMS))
_MAX_JTI: Final = 256
_PRIVATE: Final = frozenset({"d", "k", "p", "q", "dp", "dq", "qi", "oth"})


class DpopRefused(ValueError):
    """The proof is not usable.

    `code` names the rule for our own metrics. A caller is told only that it was refused, and
    `hint`: how far its clock is off, or nothing.
    """

    def __init__(self, code: str, hint: str = "") -> None:
        """`code` is one of the fixed words used below; `hint` is a sentence of ours."""
        super().__init__(code)
        self.code = code
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof that verifies for this request.

    Its (`jkt`, `jti`) is yet to be spent with a ReplayGuard until `expires_at`.
    """

    jkt: str
    jti: str
    issued_at: datetime
    expires_at: datetime


class ReplayGuard(Protocol):
    """Remembers spent proofs.

    Obligation: durable, so that a restart lets nothing through twice; exactly one True per value.
    """

    async def first_use(self, jkt: str, jti: str, until: datetime) -> bool:
        """Return True for exactly one caller per (jkt, jti) before `until`, in all processes."""
        ...


class MemoryReplayGuard:
    """Remembers within one process only: for unit tests."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], datetime] = {}

    async def first_use(self, jkt: str, jti: str, until: datetime) -> bool:
        """Return True the first time."""
        if (jkt, jti) in self._seen:
            return False
        self._seen[(jkt, jti)] = until
        return True


def make_proof(
    key: SigningKey,
    method: str,
    url: str,
    *,
    at: datetime,
    token: str | None = None,
    nonce: str | None = None,
) -> str:
    """Make a fresh proof for one request; `url` loses query and fragment (RFC 9449 section 4.2)."""
    parts = urlsplit(url)
    claims: dict[str, Any] = {
        "htm": method,
        "htu": f"{parts.scheme}://{parts.netloc}{parts.path}",
        "iat": int(at.timestamp()),
        "jti": opaque(),
    }
    if token is not None:
        claims["ath"] = token_hash(token)
    if nonce is not None:
        claims["nonce"] = nonce
    return sign(claims, key, typ="dpop+jwt", show_key=True)


def check_proof(
    proof: str, *, method: str, url: str, now: datetime, token: str | None = None
) -> Proof:
    """Check a proof by RFC 9449 section 4.3, in its numbering.

    Raises DpopRefused.

    The caller has done 1 (exactly one header) and must do 12a (spend the `jti`). With a token it
    compares `jkt` with `cnf.jkt`.
    """
    if len(proof) > _MAX_PROOF or proof.count(".") != 2:
        raise DpopRefused("malformed")
    # 2-6: a JWT, typ, asymmetric algorithm of the allow-list, public key only
    header, key, jkt = _header(proof[: proof.index(".")])
    # 7: the signature verifies with that key
    try:
        content = jws.deserialize_compact(proof.encode(), key, registry=_REGISTRY)
        claims = parse(content.payload, max_bytes=_MAX_PROOF)
    except (JoseError, ValueError, TypeError):
        raise DpopRefused("signature") from None
    if not isinstance(claims, dict) or header.get("crit") is not None:
        raise DpopRefused("malformed")
    # 8: method
    if claims.get("htm") != method:
        raise DpopRefused("htm")
    # 9: URI without query and fragment
    if not _same_place(claims.get("htu"), url):
        raise DpopRefused("htu")
    # 11: age
    issued_at = _issued_at(claims.get("iat"), now)
    # 12b: bound to this token
    if token is not None and claims.get("ath") != token_hash(token):
        raise DpopRefused("ath")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= _MAX_JTI:
        raise DpopRefused("jti")
    return Proof(jkt, jti, issued_at, now + REMEMBER)


def _issued_at(issued: object, now: datetime) -> datetime:
    """Return the time of a NumericDate, which may have a fraction (RFC 7519 section 2).

    Raises DpopRefused; the hint says how far the caller's clock is off, up to a day.
    """
    # bool is an int to Python; NaN compares false, so it is outside the range
    if type(issued) not in (int, float) or not 0 <= issued < 2**35:  # type: ignore[operator]
        raise DpopRefused("iat")
    at = datetime.fromtimestamp(issued, UTC)  # type: ignore[arg-type]
    if now - PAST <= at <= now + FUTURE:
        return at
    seconds = math.ceil(abs((at - now).total_seconds()))
    off = f"{seconds} seconds" if seconds <= _DAY else "more than a day"
    side = "behind" if at < now else "ahead of"
    raise DpopRefused(
        "iat",
        f"The proof's iat is {off} {side} the hub's clock; "
        f"{PAST.seconds} seconds behind and {FUTURE.seconds} ahead are taken.",
    )


def token_hash(token: str) -> str:
    """Return the `ath` of a token (RFC 9449 section 4.2)."""
    return b64u(hashlib.sha256(token.encode()).digest())


@lru_cache(maxsize=_HEADERS)
def _header(encoded: str) -> tuple[Mapping[str, Any], ECKey | OKPKey | RSAKey, str]:
    """Read the header of a proof, its key and the key's thumbprint.

    A client's header is the same in each of its proofs.

    What is remembered is only what this text says; whether the key signed anything is asked every
    time.
    """
    try:
        header = parse(unb64u(encoded), max_bytes=_MAX_PROOF)
    except CanonicalError:
        raise DpopRefused("malformed") from None
    if not isinstance(header, dict) or header.get("typ") != "dpop+jwt":
        raise DpopRefused("typ")
    jwk = header.get("jwk")
    if not isinstance(jwk, dict) or _PRIVATE & jwk.keys():
        raise DpopRefused("jwk")
    try:
        key = JWKRegistry.import_key(jwk)
    except (JoseError, ValueError, TypeError, KeyError):
        raise DpopRefused("jwk") from None
    if not isinstance(key, ECKey | OKPKey | RSAKey) or header.get("alg") not in algorithms_of(key):
        raise DpopRefused("alg")
    return header, key, key.thumbprint()


def algorithms_of(key: object) -> tuple[str, ...]:
    """List the algorithms a public key may be used with: the key decides, never the message."""
    if isinstance(key, ECKey):
        return ("ES256",) if key.curve_name == "P-256" else ()
    if isinstance(key, OKPKey):
        return ("EdDSA", "Ed25519") if key.curve_name == "Ed25519" else ()
    if isinstance(key, RSAKey):
        return ("PS256",) if key.public_key.key_size >= 2048 else ()
    return ()


def _same_place(offered: object, wanted: str) -> bool:
    """Compare two URLs after the normalization of RFC 3986 sections 6.2.2 and 6.2.3.

    Forgives case of scheme and host, the default port, and escapes.
    """
    if not isinstance(offered, str):
        return False
    try:
        return _normal(offered) == _normal(wanted)
    except ValueError:
        return False


def _normal(url: str) -> tuple[str, str, int, str]:
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError
    scheme = parts.scheme.lower()
    port = parts.port or {"http": 80, "https": 443}.get(scheme, 0)
    return scheme, (parts.hostname or "").lower(), port, unquote(parts.path) or "/"
