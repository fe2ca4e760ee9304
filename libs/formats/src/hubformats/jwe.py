"""The encryption of an envelope: JWE General JSON (RFC 7516) with one entry per recipient, A256GCM
and ECDH-ES+A256KW.

Part of hub-event+jwe v1 (FROZEN, see envelope.py).
"""

import hashlib
import secrets
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from hubformats.canonical import b64u, canonical
from hubformats.keys import KeyRefused, OpeningKey, RecipientKey, bare_jwk, point_of
from hubformats.statement import EnvelopeRefused, encoded_object, octets, strict_object

MAX_RECIPIENTS: Final = 64

_JWE_HEADER: Final = {"cty": "hub-event+jws", "enc": "A256GCM", "typ": "hub-event+jwe"}
_PROTECTED: Final = b64u(canonical(_JWE_HEADER))
_ENVELOPE_MEMBERS: Final = {"protected", "aad", "iv", "ciphertext", "tag", "recipients"}
_ENTRY_HEADER: Final = {"alg", "kid", "epk"}
_PARTIES: Final = {"apu", "apv"}
"""Names of the two parties that other libraries bind into the wrapping key; we write none."""
_MAX_PARTY: Final = 512


class Entropy(Protocol):
    """Give the random parts of an envelope.

    Only the maker of the golden files has another source than the system.
    """

    def octets(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""
        ...

    def ephemeral(self) -> ec.EllipticCurvePrivateKey:
        """Make a fresh P-256 key, used once."""
        ...


class SystemEntropy:
    """The operating system's randomness."""

    def octets(self, count: int) -> bytes:
        """Return `count` unpredictable bytes."""
        return secrets.token_bytes(count)

    def ephemeral(self) -> ec.EllipticCurvePrivateKey:
        """Make a fresh P-256 key, used once."""
        return ec.generate_private_key(ec.SECP256R1())


def encrypt(
    statement: bytes, aad: str, recipients: Sequence[RecipientKey], entropy: Entropy
) -> bytes:
    """Encrypt `statement` to each of `recipients`, bound to `aad` (base64url): the envelope."""
    cek, iv = entropy.octets(32), entropy.octets(12)
    sealed = AESGCM(cek).encrypt(iv, statement, f"{_PROTECTED}.{aad}".encode())
    entries = canonical(
        [wrap(cek, key, entropy) for key in sorted(recipients, key=lambda key: key.owner)]
    ).decode()
    # The canonical form, put together by hand: base64url needs no escaping, and looking through the
    # ciphertext for it costs more than the encryption did.
    return (
        f'{{"aad":"{aad}","ciphertext":"{b64u(sealed[:-16])}","iv":"{b64u(iv)}",'
        f'"protected":"{_PROTECTED}","recipients":{entries},"tag":"{b64u(sealed[-16:])}"}}'
    ).encode()


def read(value: bytes) -> dict[str, Any]:
    """Read the members of an envelope: exactly those of v1, once each. Raises EnvelopeRefused."""
    found = strict_object(value)
    if set(found) != _ENVELOPE_MEMBERS:
        raise EnvelopeRefused("malformed")
    if not all(isinstance(found[name], str) for name in _ENVELOPE_MEMBERS - {"recipients"}):
        raise EnvelopeRefused("malformed")
    recipients = found["recipients"]
    if not isinstance(recipients, list) or not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise EnvelopeRefused("malformed")
    if found["protected"] != _PROTECTED:
        recipients = found["recipients"] = _with_shared(
            recipients, _shared_header(found["protected"])
        )
    if not all(map(_is_entry, recipients)) or len(
        {entry["header"]["kid"] for entry in recipients}
    ) != len(recipients):
        raise EnvelopeRefused("malformed")
    return found


def decrypt(envelope: Mapping[str, Any], me: str, opening: Mapping[str, OpeningKey]) -> bytes:
    """Take the statement out of a parsed envelope with the first of `opening` it is sealed to.

    Numbers are those of `open_envelope`.

    Raises EnvelopeRefused.
    """
    # 3. An entry for a key of ours.
    entry, key = _own_entry(envelope["recipients"], me, opening)
    # 4. and 5. The algorithm is the key's, and the content key unwraps.
    cek = _unwrap(entry, key)
    # 6. Authenticated decryption over the octets as received, never over a second spelling of them.
    return _decrypt(envelope, cek)


def encrypt_again(
    envelope: Mapping[str, Any],
    me: str,
    opening: Mapping[str, OpeningKey],
    key: RecipientKey,
    entropy: Entropy,
) -> bytes:
    """Encrypt a parsed envelope of ours to another key of ours: the same statement, bound the same.

    Of several recipients only our own entry changes.

    Raises EnvelopeRefused.
    """
    statement = decrypt(envelope, me, opening)
    if len(envelope["recipients"]) == 1:
        return encrypt(statement, envelope["aad"], [key], entropy)
    entry, old = _own_entry(envelope["recipients"], me, opening)
    mine = wrap(_unwrap(entry, old), key, entropy)
    entries = [mine if each is entry else each for each in envelope["recipients"]]
    return canonical({**envelope, "recipients": entries})


def wrap(cek: bytes, key: RecipientKey, entropy: Entropy) -> dict[str, Any]:
    """Wrap the content key to a recipient's key; return the entry of that recipient."""
    ephemeral = entropy.ephemeral()
    wrapped = aes_key_wrap(_concat_kdf(ephemeral.exchange(ec.ECDH(), key.public), key.alg), cek)
    return {
        "header": {"alg": key.alg, "kid": key.kid, "epk": bare_jwk(ephemeral.public_key())},
        "encrypted_key": b64u(wrapped),
    }


def _concat_kdf(shared: bytes, alg: str, apu: bytes = b"", apv: bytes = b"") -> bytes:
    """Return the 256-bit wrapping key of RFC 7518 section 4.6.2."""
    parts = (alg.encode(), apu, apv)
    info = b"".join(struct.pack(">I", len(part)) + part for part in parts) + struct.pack(">I", 256)
    return hashlib.sha256(struct.pack(">I", 1) + shared + info).digest()


def _unwrap(entry: Mapping[str, Any], key: OpeningKey) -> bytes:
    header = entry["header"]
    if header.get("alg") != key.alg:
        raise EnvelopeRefused("wrong-algorithm")
    epk = header.get("epk")
    if (
        set(header) - _PARTIES != _ENTRY_HEADER
        or not isinstance(epk, dict)
        or set(epk) != {"crv", "kty", "x", "y"}
    ):
        raise EnvelopeRefused("malformed")
    try:
        shared = key.private.exchange(ec.ECDH(), point_of(epk))
    except KeyRefused:
        raise EnvelopeRefused("malformed") from None
    wrapped = octets(entry["encrypted_key"])
    if len(wrapped) != 40:
        raise EnvelopeRefused("malformed")
    apu, apv = (_party(header.get(name, "")) for name in ("apu", "apv"))
    try:
        return aes_key_unwrap(_concat_kdf(shared, key.alg, apu, apv), wrapped)
    except InvalidUnwrap:
        raise EnvelopeRefused("not-decryptable") from None


def _party(text: object) -> bytes:
    """Return PartyUInfo or PartyVInfo: bound into the key, and used for nothing else."""
    if not isinstance(text, str) or len(text) > _MAX_PARTY:
        raise EnvelopeRefused("malformed")
    return octets(text)


def _decrypt(envelope: Mapping[str, Any], cek: bytes) -> bytes:
    iv, tag = octets(envelope["iv"]), octets(envelope["tag"])
    if len(iv) != 12 or len(tag) != 16:
        raise EnvelopeRefused("malformed")
    bound = f"{envelope['protected']}.{envelope['aad']}".encode()
    try:
        return AESGCM(cek).decrypt(iv, octets(envelope["ciphertext"]) + tag, bound)
    except InvalidTag:
        raise EnvelopeRefused("not-decryptable") from None


def _shared_header(protected: str) -> dict[str, Any]:
    """Return what a protected header in another spelling holds beside ours.

    Nothing, or header members of a lone recipient.
    """
    header = encoded_object(protected)
    if header.get("enc") != _JWE_HEADER["enc"]:
        raise EnvelopeRefused("wrong-algorithm")
    shared = {name: value for name, value in header.items() if name not in _JWE_HEADER}
    if {**_JWE_HEADER, **shared} != header:
        raise EnvelopeRefused("malformed")
    return shared


def _with_shared(recipients: list[Any], shared: dict[str, Any]) -> list[Any]:
    """Return the entries, a lone recipient's with the members its sender protected instead.

    Their union counts (RFC 7516 section 4). Common libraries put `epk` there when there is one
    recipient. A member in both places, or another one, is refused.
    """
    if not shared:
        return recipients
    header = recipients[0].get("header", {}) if isinstance(recipients[0], dict) else None
    if (
        len(recipients) != 1
        or not isinstance(header, dict)
        or not set(shared) <= (_ENTRY_HEADER | _PARTIES) - set(header)
    ):
        raise EnvelopeRefused("malformed")
    return [{**recipients[0], "header": {**header, **shared}}]


def _is_entry(entry: object) -> bool:
    # Only the shape every algorithm shares: another recipient's key may have an algorithm we do not
    # speak.
    if (
        not isinstance(entry, dict)
        or set(entry) != {"header", "encrypted_key"}
        or not isinstance(entry["encrypted_key"], str)
    ):
        return False
    header = entry["header"]
    return (
        isinstance(header, dict)
        and isinstance(header.get("kid"), str)
        and isinstance(header.get("alg"), str)
    )


def _own_entry(
    entries: Sequence[Mapping[str, Any]], me: str, opening: Mapping[str, OpeningKey]
) -> tuple[Mapping[str, Any], OpeningKey]:
    for entry in entries:
        key = opening.get(entry["header"]["kid"])
        if key is not None and key.owner == me:
            return entry, key
    raise EnvelopeRefused("not-for-us")
