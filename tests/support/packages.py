"""Deliveries as sharing makes them, small and real: content from the projection, record, leaf,
tree, signed head, sealed envelope."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from audit.log.model.merkle import CompactRange, RightEdge
from common.events import Event
from common.events.case import CaseSnapshot
from hubformats.agency_events import DisclosurePackage, Promise
from hubformats.audit_record import Leaf, content_commitment, new_salt, record_hash
from hubformats.canonical import b64u, canonical, parse
from hubformats.envelope import Message, seal
from hubformats.ids import uuid7
from hubformats.keys import OpeningKey, SigningKey, generate_opening, generate_signing
from hubformats.tlog import Checkpoint, Signer, format_proof, leaf_hash
from sharing.content.model.projection import ClauseText, Projection
from tests.support.content import content, is_location_shielded, subject_categories
from tests.support.snapshots import snapshot

ME: Final = "northmoor-idva"
DELIVERY: Final = UUID("01932000-0000-8000-8000-0000000000d1")
ORIGIN: Final = "log.test.example.org/hub"
LOG: Final = Signer(ORIGIN, bytes(range(32)))
AGREEMENT: Final = b64u(bytes(32))
CLAUSE: Final = ClauseText(
    id="NM-2",
    text="High risk goes to the IDVA service.",
    agreement="northmoor",
    version="1.0",
    agreement_hash=AGREEMENT,
    purpose="protect_victim",
    necessity="To reach her safely.",
    lawful_basis="6ea_safeguarding",
    condition="9g_para10",
    gateway="CDA115",
    obligations=(("safe-contact-only", "Contact only by the safe-contact rule."),),
)


@dataclass
class Draft:
    """The pieces of one delivery before they are put together; a test changes a piece and looks
    whether that is noticed.
    """

    content: dict[str, Any]
    record: dict[str, Any]
    content_salt: bytes = field(default_factory=new_salt)
    record_salt: bytes = field(default_factory=new_salt)
    log: Signer = LOG
    others: int = 6
    index: int = 3

    def commit(self) -> "Draft":
        """Make the record commit to the content as it stands now."""
        self.record["dc"] = content_commitment(self.content_salt, canonical(self.content))
        return self

    def leaf(self) -> Leaf:
        """The leaf that commits to the record as it stands now."""
        return Leaf(
            "producer-1",
            1,
            17,
            1_795_226_400_123_456,
            record_hash(self.record_salt, canonical(self.record)),
        )

    def package(self, **changes: Any) -> DisclosurePackage:
        """The proven package: the leaf among others in a tree whose head the log signed.

        `changes` replace members.
        """
        leaf = self.leaf().encode()
        return self._made(**{"leaf": b64u(leaf), "proof": self.proof_of(leaf), **changes})

    def promised(self, **changes: Any) -> DisclosurePackage:
        """The package of an emergency release."""
        due = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
        promise = Promise(src="producer-1", ep=1, seq=17, h=self.leaf().h, due=due)
        return self._made(**{"promise": promise, **changes})

    def proof_of(self, leaf: bytes) -> str:
        """A tlog-proof for `leaf` at `index` among other leaves, made by the audit service's own
        tree.
        """
        leaves = [
            Leaf("producer-2", 1, seq, 1, record_hash(bytes(32), b"{}")).encode()
            for seq in range(1, self.others + 1)
        ]
        leaves.insert(self.index, leaf)
        hashes = [leaf_hash(each) for each in leaves]
        tree = CompactRange(0, [])
        for each in hashes:
            tree.append(each)
        head = self.log.sign(Checkpoint(self.log.verifier.name, tree.size, tree.root()).text())
        return format_proof(self.index, RightEdge(0, []).grow(hashes).paths()(self.index), head)

    def _made(self, **members: Any) -> DisclosurePackage:
        made = {
            "kind": self.content["kind"],
            "delivery_id": DELIVERY,
            "content": b64u(canonical(self.content)),
            "content_salt": b64u(self.content_salt),
            "record": b64u(canonical(self.record)),
            "record_salt": b64u(self.record_salt),
        }
        return DisclosurePackage.model_validate({**made, **members})


def draft(
    snap: CaseSnapshot | None = None, *, without: frozenset[str] = frozenset(), recipient: str = ME
) -> Draft:
    """A right delivery of everything in `snap` but the categories `without`; change a piece to make
    it wrong.
    """
    snap = snap or snapshot()
    permitted = [
        one
        for one in subject_categories(snap)
        if not is_location_shielded(snap, one) and one.category not in without
    ]
    projection = Projection(recipient, dict.fromkeys(permitted, CLAUSE.id), (CLAUSE,))
    raw = content(
        snap,
        projection,
        kind="disclosure",
        delivery_id=DELIVERY,
        case_reference="NM-7F3K-9QXA-2C4T",
    )
    record = {
        "v": 1,
        "id": str(uuid7()),
        "te": 1_795_226_400_000_000,
        "op": "disclosure",
        "out": "permit",
        "svc": "sharing",
        "rcp": recipient,
        "dl": str(DELIVERY),
        "cl": CLAUSE.id,
        "ag": AGREEMENT,
    }
    return Draft(_read(raw), record).commit()


@dataclass
class Parties:
    """A recipient with its keys and the hub that sends to it."""

    hub: SigningKey = field(default_factory=lambda: generate_signing("svc:sharing"))
    signing: SigningKey = field(default_factory=lambda: generate_signing(ME))
    opening: OpeningKey = field(default_factory=lambda: generate_opening(ME))
    dpop: SigningKey = field(default_factory=lambda: generate_signing(ME))

    def envelope(
        self, event: Event, *, sender: SigningKey | None = None, to: OpeningKey | None = None
    ) -> bytes:
        """An event sealed as sharing would seal it."""
        return seal(
            Message(
                type=event.TYPE,
                version=event.VERSION,
                data=event.data(),
                stream=ME,
                seq=1,
                id=uuid7(),
                issued_at=datetime(2026, 11, 21, 2, 0, tzinfo=UTC),
            ),
            sender=sender or self.hub,
            recipients=[(to or self.opening).public()],
        )


def _read(raw: bytes) -> dict[str, Any]:
    made: Mapping[str, Any] = parse(raw)
    return dict(made)
