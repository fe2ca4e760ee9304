"""Deliveries as sharing makes them: real envelopes, packages and log, with the keys of one hub."""

import base64
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from common.keyring import FileKeyring
from common.testing import ManualClock
from hubformats.agency_events import DisclosurePackage, Promise
from hubformats.audit_record import Leaf, content_commitment, record_hash
from hubformats.bootstrap import LOG_SEED, SERVICE_KEY
from hubformats.canonical import b64u, canonical
from hubformats.envelope import Message, seal
from hubformats.keys import OpeningKey, SigningKey
from hubformats.tlog import Checkpoint, Signer, format_proof, leaf_hash, node_hash
from identity.bootstrap.model.northmoor import LOG_ORIGIN
from identity.bootstrap.use_cases.create import create

SERVICES: Final = ("referral", "sharing", "audit", "identity", "portal")
BASE: Final = "http://portal.example.org"
ME: Final = "northmoor-idva"
DELIVERY: Final = UUID("01932000-0000-7000-8000-000000000021")
SECRET_NAME: Final = "Marta Quillfeather"
CONTENT: Final[dict[str, Any]] = {
    "v": 1,
    "kind": "disclosure",
    "deliveryId": str(DELIVERY),
    "recipient": ME,
    "caseReference": "NM-7F3K-9QXA-2C4T",
    "asOf": "2026-11-21T02:00:00Z",
    "provisional": False,
    "urgent": True,
    "otherClauses": [],
    "clause": {
        "id": "NM-1",
        "text": "Danger is told at once.",
        "agreement": "northmoor",
        "version": "1.0",
        "hash": "A" * 43,
    },
    "purpose": "protect_victim",
    "necessity": "Life may be at risk.",
    "lawfulBasis": "6ea_emergency",
    "condition": "9c",
    "gateway": "common_law",
    "obligations": [{"code": "safe-contact-only", "text": "Contact only by the rule shown."}],
    "sections": [
        {
            "category": "victim_identity",
            "label": "Victim",
            "clause": "NM-1",
            "items": [
                {"label": "Name", "value": SECRET_NAME, "quality": "fact", "about": "Victim"}
            ],
        }
    ],
}


@dataclass(frozen=True)
class Keys:
    """A bootstrapped hub's folder, and the keys that deliveries need."""

    folder: Path
    sharing: SigningKey
    opening: OpeningKey
    signing: SigningKey
    log: Signer


@cache
def keys() -> Keys:
    """Make the hub's keys, once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="portal-hub-"))
    create(folder, {name: f"http://{name}.example.org" for name in SERVICES})
    portal = keyring(folder, "portal")
    return Keys(
        folder,
        keyring(folder, "sharing").signing_key(SERVICE_KEY),
        next(iter(portal.opening_keys(ME).values())),
        portal.signing_key(ME),
        Signer(LOG_ORIGIN, keyring(folder, "audit").secret(LOG_SEED)),
    )


def keyring(folder: Path, service: str) -> FileKeyring:
    """The keyring of one service."""
    return FileKeyring(folder / "keyring" / service, passphrase=None, open_allowed=True)


def prove(leaf: bytes) -> str:
    """A proof that `leaf` is entry 1 of 2 of the hub's log."""
    first, signer = leaf_hash(b"the leaf before"), keys().log
    note = signer.sign(
        Checkpoint(signer.verifier.name, 2, node_hash(first, leaf_hash(leaf))).text()
    )
    return format_proof(1, (first,), note)


def package(content: Mapping[str, Any] = CONTENT, /, **changes: Any) -> DisclosurePackage:
    """A package that verifies, unless `changes` to its fields spoil it."""
    raw, salt = canonical(dict(content)), b"c" * 32
    clause = content["clause"]
    record = canonical(
        {
            "v": 1,
            "id": "01932000-0000-7000-8000-000000000022",
            "te": 1_795_000_000_000_000,
            "op": "disclosure",
            "out": "permit",
            "svc": "sharing",
            "rcp": content["recipient"],
            "dl": content["deliveryId"],
            "cl": clause["id"],
            "ag": clause["hash"],
            "dc": content_commitment(salt, raw),
        }
    )
    leaf = Leaf("kq3Xh2", 1, 1, 1_795_000_000_000_000, record_hash(b"r" * 32, record)).encode()
    made = DisclosurePackage(
        kind="disclosure",
        delivery_id=DELIVERY,
        content=b64u(raw),
        content_salt=b64u(salt),
        record=b64u(record),
        record_salt=b64u(b"r" * 32),
        leaf=b64u(leaf),
        proof=prove(leaf),
    )
    return made.model_copy(update=changes)


def promised(content: Mapping[str, Any] = CONTENT) -> DisclosurePackage:
    """An emergency release: an entry promised, not proven."""
    made = package(content)
    h = Leaf.decode(base64.urlsafe_b64decode(made.leaf + "=" * (-len(made.leaf) % 4))).h
    return package(
        content,
        leaf="",
        proof="",
        promise=Promise(src="kq3Xh2", ep=1, seq=1, h=h, due=ManualClock().now()),
    )


def envelope(made: DisclosurePackage, *, sender: SigningKey | None = None) -> bytes:
    """The package sealed to us."""
    return seal(
        Message(
            type=DisclosurePackage.TYPE,
            version=1,
            data=made.model_dump(mode="json", by_alias=True, exclude_none=True),
            stream=ME,
            seq=1,
            id=DELIVERY,
            issued_at=ManualClock().now(),
        ),
        sender=sender or keys().sharing,
        recipients=[keys().opening.public()],
    )
