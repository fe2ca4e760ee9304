"""Signed notes (C2SP signed-note): a text that several keys may sign. A line we do not know is
skipped; one that lies spoils the note."""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hubformats.tlog.tree import ProofRefused

ED25519: Final = 0x01
NOTE_LIMIT: Final = 256 * 1024
"""Bytes of one note.

Sixteen post-quantum signature lines need 54 KB; the rest is room, and the bound keeps parsing
cheap.
"""
SIGNATURE_LIMIT: Final = 64
"""Signature lines of one note; C2SP asks for at least 16."""

_DASH: Final = "— "
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """Hold one signature of a note, whoever made it.

    `key_id` are four bytes that only hint at the key.
    """

    name: str
    key_id: bytes
    signature: bytes

    def format(self) -> str:
        """Write the line as it stands in the note, with its newline."""
        return f"{_DASH}{self.name} {_b64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note.

    Nothing in it is trusted until `verify_note` has named the keys that signed `text`.
    """

    text: str
    signatures: tuple[SignatureLine, ...]

    def format(self) -> str:
        """Write the whole note: text, empty line, signature lines."""
        return self.text + "\n" + "".join(line.format() for line in self.signatures)


@dataclass(frozen=True, slots=True)
class Verifier:
    """An Ed25519 verifier key (vkey): ``name+keyid+base64(0x01 ‖ public key)``."""

    name: str
    key_id: bytes
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> "Verifier":
        """Read a vkey.

        Raises ProofRefused for another algorithm, a wrong length or a key id that is not the key's.
        """
        parts = vkey.strip().split("+", 2)  # base64 may hold '+', so only the first two separate
        if len(parts) != 3 or not _KEY_ID.fullmatch(parts[1]):
            raise ProofRefused("vkey-malformed")
        key = _unb64(parts[2], "vkey-malformed")
        if len(key) != 33 or key[0] != ED25519:
            raise ProofRefused("vkey-algorithm-unknown")
        _check_name(parts[0])
        if key_id(parts[0], key).hex() != parts[1]:
            raise ProofRefused("vkey-id-wrong")
        return cls(parts[0], bytes.fromhex(parts[1]), key[1:])

    def format(self) -> str:
        """Write the vkey text."""
        return f"{self.name}+{self.key_id.hex()}+{_b64(bytes([ED25519]) + self.public)}"

    def verify(self, text: str, signature: bytes) -> None:
        """Check one signature over the text including its final newline. Raises ProofRefused."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            raise ProofRefused("signature-wrong") from None


class Signer:
    """An Ed25519 note signer made from a 32-byte seed.

    Signing is deterministic (RFC 8032), so the same text gives the same note.
    """

    def __init__(self, name: str, seed: bytes) -> None:
        _check_name(name)
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.verifier = Verifier(name, key_id(name, bytes([ED25519]) + public), public)

    def sign(self, text: str) -> str:
        """Return `text` as a note with this key's line.

        Raises ProofRefused when the text could not be read back as it is.
        """
        _check_text(text)
        line = SignatureLine(
            self.verifier.name, self.verifier.key_id, self._private.sign(text.encode())
        )
        return Note(text, (line,)).format()


def key_id(name: str, key: bytes) -> bytes:
    """Return the first four bytes of SHA-256(name ‖ newline ‖ key).

    `key` starts with its algorithm byte.
    """
    return hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]


def parse_note(data: str | bytes) -> Note:
    """Read a note without judging its signatures.

    Raises ProofRefused for anything C2SP calls malformed, or past our bounds.
    """
    text = _decoded(data)
    split = text.rfind("\n\n")  # the last empty line: the text itself may hold empty lines
    if split < 0:
        raise ProofRefused("note-malformed")
    body, rest = text[: split + 1], text[split + 2 :]
    _check_text(body)
    if not rest.endswith("\n"):
        raise ProofRefused("note-malformed")
    lines = rest[:-1].split("\n")
    if len(lines) > SIGNATURE_LIMIT:
        raise ProofRefused("note-too-many-signatures")
    return Note(body, tuple(_signature_line(line) for line in lines))


def verify_note(
    data: str | bytes, verifiers: Sequence[Verifier]
) -> tuple[Note, tuple[Verifier, ...]]:
    """Verify a note; return it and those of `verifiers` that signed it, at least one.

    Raises ProofRefused.

    A line of an unknown (name, key id) is skipped. A line of a known one that does not verify
    refuses the whole note.
    """
    note = parse_note(data)
    known = {(item.name, item.key_id): item for item in verifiers}
    if len(known) != len(verifiers):
        raise ProofRefused("verifiers-ambiguous")
    signed: dict[tuple[str, bytes], Verifier] = {}
    for line in note.signatures:
        verifier = known.get((line.name, line.key_id))
        if verifier is not None:
            verifier.verify(note.text, line.signature)
            signed[line.name, line.key_id] = verifier
    if not signed:
        raise ProofRefused("no-known-signature")
    return note, tuple(signed.values())


def _signature_line(line: str) -> SignatureLine:
    if not line.startswith(_DASH):
        raise ProofRefused("signature-line-malformed")
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    blob = _unb64(encoded, "signature-line-malformed")
    if not space or len(blob) < 5:
        raise ProofRefused("signature-line-malformed")
    _check_name(name)
    return SignatureLine(name, blob[:4], blob[4:])


def _decoded(data: str | bytes) -> str:
    if len(data) > NOTE_LIMIT:
        raise ProofRefused("note-too-large")
    try:
        text = data.decode() if isinstance(data, bytes) else data.encode().decode()
    except UnicodeError:
        raise ProofRefused("note-not-utf8") from None
    if any(char < " " and char != "\n" for char in text):
        raise ProofRefused("note-control-character")
    return text


def _check_text(text: str) -> None:
    _decoded(text)
    if not text.endswith("\n"):
        raise ProofRefused("note-malformed")


def _check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() for char in name):
        raise ProofRefused("key-name-malformed")


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unb64(text: str, code: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise ProofRefused(code) from None
    if _b64(data) != text:  # a second spelling of the same bytes would give one signature two texts
        raise ProofRefused(code)
    return data
