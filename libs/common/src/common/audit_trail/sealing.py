"""The keys of sealed parts, which only their producer has: opening a part, and destroying its
key."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, delete, select, update

from common.audit_trail.tables import PART_KEY, PART_SUBJECT
from common.database import Unit
from common.keyring import Keyring
from hubformats.audit_record import Part, open_sealed, part_context
from hubformats.clock import Clock


class PartDestroyed(LookupError):
    """The part's key was destroyed with its subject, or never was ours."""


def open_part(
    connection: Connection, keyring: Keyring, record_id: UUID, part: Part, sealed: bytes
) -> dict[str, Any]:
    """Open a sealed part of a record and return its content.

    Raises PartDestroyed, PartRefused. The caller records the unsealing first.
    """
    wanted = select(PART_KEY.c.wrapped).where(
        PART_KEY.c.record_id == record_id, PART_KEY.c.part == part
    )
    wrapped = connection.execute(wanted).scalar_one_or_none()
    if wrapped is None:
        raise PartDestroyed("the key of this part is gone")
    dek = keyring.unwrap(wrapped, part_context(record_id, part))
    return open_sealed(dek, record_id, part, sealed)


def destroy_subject_parts(unit: Unit, clock: Clock, tokens: Sequence[bytes]) -> int:
    """Destroy the subject parts of every record about these subjects.

    Actor and account parts stay: who acted, and why, is not the subject's to erase.

    A record about several people loses them all from its sealed part; the log and its proofs are
    untouched. Returns how many.
    """
    named = select(PART_SUBJECT.c.handle).where(PART_SUBJECT.c.token.in_(tokens))
    gone = update(PART_KEY).where(PART_KEY.c.handle.in_(named), PART_KEY.c.destroyed_at.is_(None))
    count = unit.connection.execute(gone.values(wrapped=None, destroyed_at=clock.now())).rowcount
    unit.connection.execute(delete(PART_SUBJECT).where(PART_SUBJECT.c.token.in_(tokens)))
    return count
