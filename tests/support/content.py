"""Content as tests ask for it, of a snapshot alone."""

from uuid import UUID

from common.events.case import CaseSnapshot
from hubformats.canonical import canonical
from sharing.content.model.projection import Kind, Projection, SubjectCategory
from sharing.content.model.reader import SnapshotReader


def subject_categories(snapshot: CaseSnapshot) -> tuple[SubjectCategory, ...]:
    """`SnapshotReader.subject_categories` of a snapshot."""
    return SnapshotReader(snapshot).subject_categories()


def is_location_shielded(snapshot: CaseSnapshot, about: SubjectCategory) -> bool:
    """`SnapshotReader.is_location_shielded` of a snapshot."""
    return SnapshotReader(snapshot).is_location_shielded(about)


def content(
    snapshot: CaseSnapshot,
    projection: Projection,
    *,
    kind: Kind,
    delivery_id: UUID,
    case_reference: str,
) -> bytes:
    """The canonical content C of one delivery. Raises as `SnapshotReader.content` does."""
    return canonical(
        SnapshotReader(snapshot).content(
            projection, kind=kind, delivery_id=delivery_id, case_reference=case_reference
        )
    )
