"""Signs and verifies compact JWS (RFC 7515) with ES256, on joserfc: tokens, assertions, proofs and
receipts."""

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import ESAlgorithm
from joserfc.jwk import ECKey

from hubformats.canonical import CanonicalError, canonical, parse, unb64u
from hubformats.keys import SIGNING_ALG, SigningKey, VerificationKey, bare_jwk, sign_es256

MAX_BYTES: Final = 8192


class JwsRefused(ValueError):
    """The text is not a compact JWS of the kind wanted.

    `code` is `malformed`, `header` or `signature`; the message never holds what was signed.
    """

    def __init__(self, code: str) -> None:
        """`code` is one of the three words above."""
        super().__init__(code)
        self.code = code


class _Es256(ESAlgorithm):
    """joserfc's ES256, but with nonces by RFC 6979, which a weak random number cannot spoil."""

    def check_key(self, key: ECKey) -> None:
        """Check the curve. `use` and `alg` need no check: our key types say them."""
        if key.curve_name != self.curve:
            raise UnsupportedAlgorithmError("not P-256")

    def sign(self, msg: bytes, key: ECKey) -> bytes:
        """Sign `msg`; return 64 bytes r‖s."""
        private = key.get_op_key("sign")
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise TypeError("a public key signs nothing")
        return sign_es256(private, msg)


_ES256: Final = _Es256(SIGNING_ALG, "P-256", 256)


class _Registry(jws.JWSRegistry):
    """Knows one algorithm, whatever else joserfc or another importer registered.

    It checks the names and types of header members, and refuses members it does not know.
    """

    max_payload_length = MAX_BYTES

    def get_alg(self, name: str) -> ESAlgorithm:
        """Return ES256. Raises UnsupportedAlgorithmError for every other name, `none` included."""
        if name != SIGNING_ALG:
            raise UnsupportedAlgorithmError("not ES256")
        return _ES256


_REGISTRY: Final = _Registry()


def sign(claims: Mapping[str, Any], key: SigningKey, *, typ: str, show_key: bool = False) -> str:
    """Sign the canonical JSON of `claims`. The header holds `alg`, `kid` and `typ`, nothing else.

    With `show_key` it holds the public key (`jwk`) in place of its id, as RFC 9449 wants.

    Raises CanonicalError for claims that JSON cannot carry exactly.
    """
    who: dict[str, Any] = (
        {"jwk": bare_jwk(key.private.public_key())} if show_key else {"kid": key.kid}
    )
    header = {"alg": SIGNING_ALG, **who, "typ": typ}
    return jws.serialize_compact(
        header, canonical(dict(claims)), ECKey.import_key(key.private), registry=_REGISTRY
    )


def key_id(text: str, *, typ: str) -> str:
    """Read the `kid` a JWS names, unverified, so that the key can be looked up.

    Raises JwsRefused unless the header is exactly `alg` ES256, a `kid` and this `typ`. So `alg`
    none, `crit`, `b64`, an embedded key and a JSON serialisation are all refused here.
    """
    header = _object(_parts(text)[0])
    kid = header.get("kid")
    if not isinstance(kid, str) or header != {"alg": SIGNING_ALG, "kid": kid, "typ": typ}:
        raise JwsRefused("header")
    return kid


def verify(text: str, key: VerificationKey, *, typ: str) -> dict[str, Any]:
    """Verify that `key` signed this as a `typ` and the header names it; return the claims.

    Raises JwsRefused, also for a revoked key and for claims that are not one JSON object.
    """
    if key_id(text, typ=typ) != key.kid:
        raise JwsRefused("header")
    if key.status == "revoked":
        raise JwsRefused("signature")
    public = ECKey.import_key(key.public)
    try:
        jws.deserialize_compact(text, public, registry=_REGISTRY)
    except (JoseError, ValueError):
        raise JwsRefused("signature") from None
    return claims_of(text)


def claims_of(text: str) -> dict[str, Any]:
    """Read the claims as they stand, UNVERIFIED: only to look something up before `verify`.

    Raises JwsRefused.
    """
    return _object(_parts(text)[1])


def _parts(text: str) -> list[str]:
    parts = text.split(".")
    if len(text) > MAX_BYTES or not text.isascii() or len(parts) != 3:
        raise JwsRefused("malformed")
    return parts


def _object(part: str) -> dict[str, Any]:
    try:
        found = parse(unb64u(part), max_bytes=MAX_BYTES)
    except CanonicalError:
        raise JwsRefused("malformed") from None
    if not isinstance(found, dict):
        raise JwsRefused("malformed")
    return found
