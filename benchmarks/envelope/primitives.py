"""The floor: only the cryptography that the format cannot do without, with no structure, no checks
and no encoding."""

import hashlib
import secrets
from collections.abc import Callable, Sequence

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

SIGN = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
VERIFY = ec.ECDSA(hashes.SHA256())
CURVE = ec.SECP256R1()


def sealing(
    payload: bytes,
    signer: ec.EllipticCurvePrivateKey,
    recipients: Sequence[ec.EllipticCurvePublicKey],
) -> Callable[[], None]:
    """One signature, one digest, one AES-GCM, and per recipient a fresh key, one ECDH and one key
    wrap.
    """

    def work() -> None:
        signer.sign(payload, SIGN)
        hashlib.sha256(payload).digest()
        content_key = secrets.token_bytes(32)
        AESGCM(content_key).encrypt(secrets.token_bytes(12), payload, b"aad")
        for public in recipients:
            shared = ec.generate_private_key(CURVE).exchange(ec.ECDH(), public)
            aes_key_wrap(hashlib.sha256(shared).digest(), content_key)

    return work


def opening(
    payload: bytes, signer: ec.EllipticCurvePrivateKey, mine: ec.EllipticCurvePrivateKey
) -> Callable[[], None]:
    """One ECDH, one unwrap, one AES-GCM, one digest, one signature check."""
    signature = signer.sign(payload, SIGN)
    verifying = signer.public_key()
    ephemeral = ec.generate_private_key(CURVE)
    content_key, nonce = secrets.token_bytes(32), secrets.token_bytes(12)
    wrapped = aes_key_wrap(
        hashlib.sha256(ephemeral.exchange(ec.ECDH(), mine.public_key())).digest(), content_key
    )
    sealed = AESGCM(content_key).encrypt(nonce, payload, b"aad")
    point = ephemeral.public_key()

    def work() -> None:
        key = aes_key_unwrap(hashlib.sha256(mine.exchange(ec.ECDH(), point)).digest(), wrapped)
        opened = AESGCM(key).decrypt(nonce, sealed, b"aad")
        hashlib.sha256(opened).digest()
        verifying.verify(signature, opened, VERIFY)

    return work


def singles(payload: bytes) -> dict[str, Callable[[], object]]:
    """Each primitive by itself, to say where the time goes."""
    private, other = ec.generate_private_key(CURVE), ec.generate_private_key(CURVE)
    signature = private.sign(payload, SIGN)
    cipher, nonce = AESGCM(secrets.token_bytes(32)), secrets.token_bytes(12)
    wrapping, content_key = secrets.token_bytes(32), secrets.token_bytes(32)
    sealed = cipher.encrypt(nonce, payload, b"aad")
    public, far = private.public_key(), other.public_key()
    return {
        "P-256 key generation": lambda: ec.generate_private_key(CURVE),
        "ECDH": lambda: private.exchange(ec.ECDH(), far),
        "ECDSA sign (deterministic)": lambda: private.sign(payload, SIGN),
        "ECDSA verify": lambda: public.verify(signature, payload, VERIFY),
        "AES key wrap": lambda: aes_key_wrap(wrapping, content_key),
        "AES-GCM seal": lambda: cipher.encrypt(nonce, payload, b"aad"),
        "AES-GCM open": lambda: cipher.decrypt(nonce, sealed, b"aad"),
        "SHA-256": lambda: hashlib.sha256(payload).digest(),
    }
