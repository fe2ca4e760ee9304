"""Between producers and the audit log: batches of records, and the receipts that let a disclosure
leave."""

from typing import ClassVar

from pydantic import Field

from hubformats.event import Event, Part

BATCH_LIMIT = 256
RECEIPT_CHUNK = 64
"""Receipts of one event. With 20-hash proofs 64 stay inside the 256 KiB size class."""


class AuditItem(Part):
    """One record as its producer wrote it. All binary fields are base64url."""

    seq: int
    record: str
    salt: str
    tokens: dict[str, tuple[str, ...]] = Field(default={})
    """Keyed index tokens by kind (``subject``, ``actor``, ``case``, ``delivery``); they stand
    beside the record, never in it.
    """
    subject_sealed: str = ""
    actor_sealed: str = ""


class Held(Part):
    """Why something was withheld, with the salt of the record's commitment to it (base64url)."""

    why: str
    salt: str


class RecordItem(AuditItem):
    """One record with its third sealed part, and what is held back from the agency concerned."""

    account_sealed: str = ""
    held: Held | None = None


class AuditBatchV1(Event):
    """Up to 256 records of one producer epoch, as sent before records had a third part."""

    TYPE: ClassVar[str] = "hub.audit-batch"
    VERSION: ClassVar[int] = 1

    service: str
    src: str
    epoch: int
    first_seq: int
    items: tuple[AuditItem, ...]


class AuditBatch(Event):
    """Up to 256 records of one producer epoch, without a gap; signed once, by the envelope around
    it.
    """

    TYPE: ClassVar[str] = "hub.audit-batch"
    VERSION: ClassVar[int] = 2

    service: str
    src: str
    epoch: int
    first_seq: int
    items: tuple[RecordItem, ...]


class ReceiptItem(Part):
    """Where one record stands in the log: exact leaf bytes (base64url), index, inclusion path
    (standard base64, leaf side first).
    """

    seq: int
    record_id: str
    leaf: str
    index: int
    path: tuple[str, ...]


class AuditReceipts(Event):
    """Proof of inclusion for records of one producer epoch under one signed checkpoint."""

    TYPE: ClassVar[str] = "hub.audit-receipts"
    VERSION: ClassVar[int] = 1

    src: str
    epoch: int
    checkpoint: str
    items: tuple[ReceiptItem, ...]


class AuditRejected(Event):
    """A record the log could not accept as written; a ``rejected`` entry stands in its place.

    What waited on it must not leave.
    """

    TYPE: ClassVar[str] = "hub.audit-rejected"
    VERSION: ClassVar[int] = 1

    src: str
    epoch: int
    seq: int
    code: str
    index: int
