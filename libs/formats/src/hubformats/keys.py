"""P-256 keys of agencies and services: one pair for signing (ES256), another for opening
(ECDH-ES+A256KW), never both in one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from hubformats.canonical import CanonicalError, b64u, canonical, unb64u

SIGNING_ALG: Final = "ES256"
OPENING_ALG: Final = "ECDH-ES+A256KW"
KeyStatus = Literal["next", "active", "retired", "revoked"]
COMPROMISED: Final = "compromised"
"""Why a key was retired when somebody else may have it."""
_LATEST: Final = 2**40

# RFC 6979 nonces: a weak or repeated random number can never give the private key away, and golden
# files can be remade.
_SIGN: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
_VERIFY: Final = ec.ECDSA(hashes.SHA256())


Jwk = dict[str, Any]


class KeyRefused(ValueError):
    """A key or a signature is not acceptable; the message names the rule, never key material."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """What checks an owner's signatures.

    `retired` still verifies what was signed. `revoked` (compromised) verifies nothing. A statement
    from before `compromised_since` (Unix seconds) can be told to be one.
    """

    kid: str
    owner: str
    public: ec.EllipticCurvePublicKey
    status: KeyStatus = "active"
    alg: Literal["ES256"] = SIGNING_ALG
    compromised_since: int | None = None

    def verify(self, data: bytes, signature: bytes) -> None:
        """Check a 64-byte r‖s signature (RFC 7518 section 3.4). Raises KeyRefused."""
        if self.status == "revoked":
            raise KeyRefused("the key is revoked")
        if len(signature) != 64:
            raise KeyRefused("the signature does not verify")
        der = encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))
        try:
            self.public.verify(der, data, _VERIFY)
        except InvalidSignature:
            raise KeyRefused("the signature does not verify") from None

    def jwk(self) -> dict[str, str]:
        """Return the public JWK with `use`, `alg` and `kid`."""
        return {**_public_jwk(self.public), "use": "sig", "alg": self.alg, "kid": self.kid}


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """What seals to an owner.

    The algorithm belongs to the key, so a message can never choose it. Senders seal to it from
    `begins` on (Unix seconds).
    """

    kid: str
    owner: str
    alg: Literal["ECDH-ES+A256KW"]
    public: ec.EllipticCurvePublicKey
    begins: int = 0

    def jwk(self) -> Jwk:
        """Return the public JWK with `use`, `alg` and `kid`, and `nbf` when it begins one day."""
        begins = {"nbf": self.begins} if self.begins else {}
        jwk = {**_public_jwk(self.public), "use": "enc", "alg": self.alg, "kid": self.kid}
        return {**jwk, **begins}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An owner's private signing key; `kid` is the RFC 7638 thumbprint of its public half."""

    kid: str
    owner: str
    private: ec.EllipticCurvePrivateKey

    def sign(self, data: bytes) -> bytes:
        """Sign `data`; return 64 bytes r‖s, as `sign_es256` makes them."""
        return sign_es256(self.private, data)

    def public(self) -> VerificationKey:
        """Return the half that may be published."""
        return VerificationKey(self.kid, self.owner, self.private.public_key())

    def jwk(self, private: bool = False) -> dict[str, str]:
        """Return the JWK; with `private` the secret `d` too, which belongs in a 0600 file only."""
        return _maybe_private(self.public().jwk(), self.private, private=private)


@dataclass(frozen=True, slots=True)
class OpeningKey:
    """Hold an owner's private key for what was sealed to it.

    `kid` is the RFC 7638 thumbprint of its public half.
    """

    kid: str
    owner: str
    private: ec.EllipticCurvePrivateKey
    alg: Literal["ECDH-ES+A256KW"] = OPENING_ALG
    begins: int = 0

    def public(self) -> RecipientKey:
        """Return the half that senders seal to."""
        return RecipientKey(self.kid, self.owner, self.alg, self.private.public_key(), self.begins)

    def jwk(self, private: bool = False) -> Jwk:
        """Return the JWK; with `private` the secret `d` too, which belongs in a 0600 file only."""
        return _maybe_private(self.public().jwk(), self.private, private=private)


class KeySource(Protocol):
    """Where public keys come from.

    Obligation: answers only keys whose owner was established, from memory, without blocking.
    """

    def verification(self, kid: str) -> VerificationKey | None:
        """Return the verification key of that id, whatever its status; None when it is unknown."""
        ...

    def recipient(self, owner: str) -> RecipientKey | None:
        """Return the key to seal to that owner with now, or None."""
        ...

    async def refresh(self) -> None:
        """Ask the directory again: an unknown key id counts as a failure only after this.

        Raises whatever it is when it could not be asked.
        """
        ...


class StaticKeys:
    """A fixed set of public keys: tests, bootstrap, offline verification.

    The last recipient key given for an owner is current.
    """

    def __init__(self, *keys: SigningKey | OpeningKey | VerificationKey | RecipientKey) -> None:
        public = [key.public() if isinstance(key, SigningKey | OpeningKey) else key for key in keys]
        self._verification = {key.kid: key for key in public if isinstance(key, VerificationKey)}
        self._recipient = {key.owner: key for key in public if isinstance(key, RecipientKey)}

    def verification(self, kid: str) -> VerificationKey | None:
        """Return the verification key of that id, or None."""
        return self._verification.get(kid)

    def recipient(self, owner: str) -> RecipientKey | None:
        """Return the current key to seal to that owner with, or None."""
        return self._recipient.get(owner)

    async def refresh(self) -> None:
        """Ask nothing: the set is fixed."""


def sign_es256(private: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """Sign `data`; return 64 bytes r‖s (ES256, RFC 7518 section 3.4; nonce by RFC 6979)."""
    r, s = decode_dss_signature(private.sign(data, _SIGN))
    return r.to_bytes(32) + s.to_bytes(32)


def generate_signing(owner: str) -> SigningKey:
    """Make a fresh signing pair."""
    private = ec.generate_private_key(ec.SECP256R1())
    return SigningKey(thumbprint(private.public_key()), owner, private)


def generate_opening(owner: str) -> OpeningKey:
    """Make a fresh pair for sealing to `owner`."""
    private = ec.generate_private_key(ec.SECP256R1())
    return OpeningKey(thumbprint(private.public_key()), owner, private)


def signing_from_jwk(jwk: Mapping[str, Any], owner: str) -> SigningKey:
    """Read a private signing JWK. Raises KeyRefused."""
    _check_purpose(jwk, use="sig", alg=SIGNING_ALG)
    private = _private_key(jwk)
    return SigningKey(_checked_kid(jwk, private.public_key()), owner, private)


def opening_from_jwk(jwk: Mapping[str, Any], owner: str) -> OpeningKey:
    """Read a private opening JWK. Raises KeyRefused."""
    _check_purpose(jwk, use="enc", alg=OPENING_ALG)
    private = _private_key(jwk)
    kid = _checked_kid(jwk, private.public_key())
    return OpeningKey(kid, owner, private, begins=_begins(jwk))


def verification_from_jwk(
    jwk: Mapping[str, Any], owner: str, status: KeyStatus = "active"
) -> VerificationKey:
    """Read a public signing JWK, with what its `revoked` says (OpenID Federation 1.0, 8.7.2).

    Raises KeyRefused, also when it carries a private part.
    """
    _check_purpose(jwk, use="sig", alg=SIGNING_ALG)
    public, since = _public_only(jwk), None
    if "revoked" in jwk:
        revoked = jwk["revoked"]
        if not isinstance(revoked, Mapping) or set(revoked) != {"revoked_at", "reason"}:
            raise KeyRefused("a key's end is not a time and a reason")
        since = _moment(revoked["revoked_at"]) if revoked["reason"] == COMPROMISED else None
        status = "retired" if since is None else "revoked"
    key = VerificationKey(_checked_kid(jwk, public), owner, public, status)
    return replace(key, compromised_since=since)


def retired_jwk(jwk: Mapping[str, Any], at: datetime, *, compromised: bool) -> Jwk:
    """Return a public signing JWK as it stands in its owner's set once it is retired.

    Members a reader does not know are ignored (RFC 7517 section 4), so older readers still read it.
    """
    revoked = {
        "revoked_at": int(at.timestamp()),
        "reason": COMPROMISED if compromised else "superseded",
    }
    return {**jwk, "revoked": revoked}


def recipient_from_jwk(jwk: Mapping[str, Any], owner: str) -> RecipientKey:
    """Read a public opening JWK. Raises KeyRefused, also when it carries a private part."""
    _check_purpose(jwk, use="enc", alg=OPENING_ALG)
    public = _public_only(jwk)
    return RecipientKey(_checked_kid(jwk, public), owner, OPENING_ALG, public, _begins(jwk))


def thumbprint(public: ec.EllipticCurvePublicKey) -> str:
    """Compute the RFC 7638 thumbprint (SHA-256, base64url) that serves as key id."""
    return b64u(hashlib.sha256(canonical(_public_jwk(public))).digest())


def point_of(jwk: object) -> ec.EllipticCurvePublicKey:
    """Read the public point of a bare P-256 JWK.

    Raises KeyRefused for another curve, a wrong length or a point off the curve.
    """
    if not isinstance(jwk, Mapping) or jwk.get("kty") != "EC" or jwk.get("crv") != "P-256":
        raise KeyRefused("not a P-256 key")
    point = b"\x04" + _coordinate(jwk, "x") + _coordinate(jwk, "y")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError:
        raise KeyRefused("not a point of the curve") from None


def bare_jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Return only crv, kty, x and y: the form of an ephemeral key in a header and of RFC 7638."""
    return _public_jwk(public)


def _public_jwk(public: ec.EllipticCurvePublicKey) -> dict[str, str]:
    numbers = public.public_numbers()
    return {
        "crv": "P-256",
        "kty": "EC",
        "x": b64u(numbers.x.to_bytes(32)),
        "y": b64u(numbers.y.to_bytes(32)),
    }


def _begins(jwk: Mapping[str, Any]) -> int:
    """Read `nbf` (as OpenID Federation 1.0 section 8.7.2 names it); 0 when it is absent."""
    return _moment(jwk.get("nbf", 0))


def _moment(seconds: object) -> int:
    if type(seconds) is not int or not 0 <= seconds < _LATEST:
        raise KeyRefused("a key's beginning or end is not a time")
    return seconds


def _maybe_private(jwk: Jwk, key: ec.EllipticCurvePrivateKey, *, private: bool) -> Jwk:
    if private:
        jwk["d"] = b64u(key.private_numbers().private_value.to_bytes(32))
    return jwk


def _private_key(jwk: Mapping[str, Any]) -> ec.EllipticCurvePrivateKey:
    public = point_of(jwk)
    try:
        private = ec.derive_private_key(int.from_bytes(_coordinate(jwk, "d")), ec.SECP256R1())
    except ValueError:
        raise KeyRefused("not a private P-256 key") from None
    if private.public_key() != public:
        raise KeyRefused("the private and the public part do not belong together")
    return private


def _public_only(jwk: Mapping[str, Any]) -> ec.EllipticCurvePublicKey:
    if "d" in jwk:
        raise KeyRefused("a private key where a public one belongs")
    return point_of(jwk)


def _coordinate(jwk: Mapping[str, Any], name: str) -> bytes:
    try:
        data = unb64u(jwk.get(name, ""))
    except CanonicalError:
        data = b""
    if len(data) != 32:
        raise KeyRefused("a key member is not 32 bytes of base64url")
    return data


def _check_purpose(jwk: Mapping[str, Any], *, use: str, alg: str) -> None:
    # Absent members are allowed (RFC 7517 makes them optional); a different purpose is not.
    if jwk.get("use", use) != use or jwk.get("alg", alg) != alg:
        raise KeyRefused("the key is for another purpose")


def _checked_kid(jwk: Mapping[str, Any], public: ec.EllipticCurvePublicKey) -> str:
    kid = thumbprint(public)
    if jwk.get("kid", kid) != kid:
        raise KeyRefused("the key id is not the key's thumbprint")
    return kid
