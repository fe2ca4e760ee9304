"""Builds envelopes, honest and dishonest, from keys that are made from their owners' names and
protect nothing."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hubformats import envelope, jwe
from hubformats.canonical import b64u, canonical, unb64u
from hubformats.keys import OpeningKey, RecipientKey, SigningKey, bare_jwk, thumbprint
from hubformats.statement import sign_statement

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
DATA = {
    "deliveryId": "0192f0c1-7e2b-7cc3-9f10-2b7f6c1d0a51",
    "kind": "disclosure",
    "items": [
        {
            "category": "safe-contact",
            "value": "Ring only 07700 900123, 10:00 to 11:00; say “library”.",
        },
        {"category": "risk", "value": 16},
    ],
    "notes": "naïve test text, 名前 and 🐝",
}


class NamedEntropy:
    """Octets and ephemeral keys that follow from a name: never the same for two files, always the
    same for one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def octets(self, count: int) -> bytes:
        """The next `count` bytes."""
        self._count += 1
        return hashlib.shake_256(f"hub-vector|{self._name}|{self._count}".encode()).digest(count)

    def ephemeral(self) -> ec.EllipticCurvePrivateKey:
        """The next P-256 key."""
        return _private(self.octets(32))


def _private(seed: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(seed) % (P256_ORDER - 1) + 1, ec.SECP256R1())


def signing(owner: str) -> SigningKey:
    """The signing key that belongs to this name in the vectors."""
    private = _private(hashlib.sha256(f"hub-vector|signing|{owner}".encode()).digest())
    return SigningKey(thumbprint(private.public_key()), owner, private)


def opening(owner: str) -> OpeningKey:
    """The opening key that belongs to this name in the vectors."""
    private = _private(hashlib.sha256(f"hub-vector|opening|{owner}".encode()).digest())
    return OpeningKey(thumbprint(private.public_key()), owner, private)


HUB = signing("svc:sharing")
HOUSING_SIGNING = signing("northmoor-housing")
REVOKED = signing("northmoor-probation")
STRANGER = signing("northmoor-unheard-of")
IDVA = opening("northmoor-idva")
HOUSING = opening("northmoor-housing")
HEALTH = opening("northmoor-health")


def claims(to: Sequence[str] = ("northmoor-idva",), **changed: Any) -> dict[str, Any]:
    """The signed claims of a vector, without salt and padding."""
    return {
        "iss": "svc:sharing",
        "jti": str(UUID("0192f0c1-7e2b-7cc3-9f10-2b7f6c1d0a50")),
        "iat": int(datetime(2026, 11, 20, 9, 30, tzinfo=UTC).timestamp()),
        "aud": sorted(to),
        "type": "hub.disclosure.delivered",
        "version": 1,
        "stream": "svc:sharing/northmoor-idva",
        "seq": 7,
        "data": DATA,
        **changed,
    }


def sealed(name: str, *keys: OpeningKey, sender: SigningKey = HUB, **changed: Any) -> bytes:
    """An envelope as `seal` makes it, with the randomness of `name`."""
    recipients = [key.public() for key in keys or (IDVA,)]
    said = claims([key.owner for key in recipients], **changed)
    return envelope._seal(said, sender, recipients, NamedEntropy(name))


def packed(
    name: str,
    jws: bytes,
    *,
    clear: Mapping[str, Any] | None = None,
    header: Mapping[str, Any] | None = None,
    recipients: Sequence[RecipientKey] = (IDVA.public(),),
    protect: Mapping[str, bool] | None = None,
) -> bytes:
    """An envelope around any statement with any clear metadata and header: what a liar with the
    right library could send.

    `protect` names members of the first entry's header to put into the protected header; a member
    that is True there is left where it was, too.
    """
    entropy = NamedEntropy(name)
    cek, iv = entropy.octets(32), entropy.octets(12)
    entries = [jwe.wrap(cek, key, entropy) for key in recipients]
    wanted = protect or {}
    moved = {member: entries[0]["header"][member] for member in wanted}
    entries[0]["header"] = {
        member: value for member, value in entries[0]["header"].items() if wanted.get(member, True)
    }
    aad = b64u(canonical({**clear_of(jws), **(clear or {})}))
    protected = b64u(
        canonical(
            {
                **(header or {"cty": "hub-event+jws", "enc": "A256GCM", "typ": "hub-event+jwe"}),
                **moved,
            }
        )
    )
    boxed = AESGCM(cek).encrypt(iv, jws, f"{protected}.{aad}".encode())
    parts = {
        "protected": protected,
        "aad": aad,
        "iv": b64u(iv),
        "ciphertext": b64u(boxed[:-16]),
        "tag": b64u(boxed[-16:]),
    }
    return canonical({**parts, "recipients": entries})


def clear_of(jws: bytes) -> dict[str, Any]:
    """The clear metadata an honest sender gives this statement."""
    said = json.loads(unb64u(jws.decode().split(".")[1]))
    return {
        "id": said["jti"],
        "type": "hub.sealed.v1",
        "source": said["iss"],
        "to": said["aud"],
        "stream": said["stream"],
        "seq": said["seq"],
        "pd": b64u(hashlib.sha256(jws).digest()),
    }


def signed(name: str, sender: SigningKey = HUB, **changed: Any) -> bytes:
    """A statement as `seal` signs it."""
    return sign_statement(
        {**claims(**changed), "salt": b64u(NamedEntropy(name + "|salt").octets(16))}, sender
    )


def resigned(
    jws: bytes, *, sender: SigningKey = HUB, header: Mapping[str, Any] | None = None, **changed: Any
) -> bytes:
    """The statement signed once more with changed claims (None removes one) or another header, past
    every check of ours.
    """
    said = {**json.loads(unb64u(jws.decode().split(".")[1])), **changed}
    payload = b64u(canonical({name: value for name, value in said.items() if value is not None}))
    head = b64u(
        canonical({"alg": "ES256", "kid": sender.kid, "typ": "hub-event+jws", **(header or {})})
    )
    return f"{head}.{payload}.{b64u(sender.sign(f'{head}.{payload}'.encode()))}".encode()


def edited(value: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The envelope with its outer JSON changed by someone who has no key: the broker."""
    found = json.loads(value)
    change(found)
    return canonical(found)


def flipped(text: str, at: int = 8) -> str:
    """base64url of the same bytes with one bit of byte `at` turned."""
    octets = bytearray(unb64u(text))
    octets[at] ^= 1
    return b64u(bytes(octets))


def keys_file() -> bytes:
    """All keys of the vectors as JWKs; private parts of the opening keys, public parts of the
    signing keys.
    """
    statuses = {HUB.owner: "active", HOUSING_SIGNING.owner: "active", REVOKED.owner: "revoked"}
    known = [
        {"owner": key.owner, "status": statuses[key.owner], "jwk": key.jwk()}
        for key in (HUB, HOUSING_SIGNING, REVOKED)
    ]
    own = [{"owner": key.owner, "jwk": key.jwk(private=True)} for key in (IDVA, HOUSING, HEALTH)]
    return json.dumps({"verification": known, "opening": own}, indent=2).encode() + b"\n"


def off_curve() -> dict[str, str]:
    """A point of no P-256 key (invalid-curve attack on the opening key)."""
    epk = bare_jwk(IDVA.private.public_key())
    return {**epk, "y": flipped(epk["y"])}
