"""Deliveries as a work list shows them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Waiting:
    """A delivery as the inbox lists it: metadata, and its envelope still sealed (None when its
    bytes are not what their digest says).
    """

    delivery_id: str
    kind: str
    state: str
    delivered_at: str
    envelope: bytes | None = field(default=None, repr=False)
    proof_followed: bool = False
    """It left on a promise, and a later envelope of the same delivery brought its proof."""
    saved_at: str = ""
    """When the agency signed for it; "" while it has not, whatever `state` says: an acknowledgement
    alone is no receipt.
    """

    @property
    def taken_up(self) -> bool:
        """Whether a role has acknowledged it."""
        return self.state == "acknowledged"

    @property
    def to_accept(self) -> bool:
        """Whether anything is missing: the receipt, or the acknowledgement when we died between the
        two.
        """
        return not (self.saved_at and self.taken_up)


@dataclass(frozen=True, slots=True)
class Sealed:
    """One delivery with the exact bytes of its envelope."""

    waiting: Waiting
    envelope: bytes


@dataclass(frozen=True, slots=True)
class Known:
    """What a delivery says of its own handling, kept so that a work list can be told apart and put
    in order. No names.

    Until a person has opened it, it is what the portal itself read of it: `opened` is False then,
    and no case is named.
    """

    case_reference: str
    urgent: bool
    accept_by: str = ""
    """ISO moment in UTC; "" where no clause sets a time."""
    promised: bool = False
    """It left on a promise; stays so when the proof has followed."""
    opened: bool = True
    case_mark: str = ""
    """The same for every delivery on one case, and tells nothing of the case by itself."""
    fuller: bool = False
    """The first of its case that came with time to spare, after danger was told in a hurry."""
    newer_id: str = ""
    """The newest delivery on the same case; "" when this is it, as far as the work list had seen.
    """
    newer_at: str = ""


@dataclass(frozen=True, slots=True)
class WorkRow:
    """One line of the work list; `known` is None where nothing of it could be read here."""

    waiting: Waiting
    known: Known | None
    presses: bool = False
    """The newest of its case while an earlier urgent one is still to accept: whoever goes there
    should read this one.
    """

    @property
    def state(self) -> str:
        """One of new, opened, acknowledged (but not signed for), accepted."""
        if not self.waiting.to_accept:
            return "accepted"
        if self.waiting.taken_up:
            return "acknowledged"
        return "opened" if self.known is not None and self.known.opened else "new"

    @property
    def urgent(self) -> bool:
        """Whether there is danger now: it says so, it left in an emergency (its proof changes
        nothing of that), or it presses.
        """
        return (
            self.presses
            or self.waiting.proof_followed
            or (self.known is not None and (self.known.urgent or self.known.promised))
        )

    @property
    def fuller(self) -> bool:
        """Whether it fills in what an urgent one before it left open."""
        return self.known is not None and self.known.fuller

    @property
    def promised(self) -> bool:
        """Whether it came on a promise whose proof has not followed."""
        return self.known is not None and self.known.promised and not self.waiting.proof_followed


def one_each(listed: Sequence[Waiting]) -> list[Waiting]:
    """One line for each delivery, oldest first: when and as what it first came, with the newest
    envelope and state.

    A second envelope is the proof that a promise was kept, or the same delivery sealed to a new
    key.
    """
    found: dict[str, Waiting] = {}
    for one in listed:
        first = found.get(one.delivery_id)
        followed = first is not None and (
            first.proof_followed or (one.kind == "notice" and first.kind != "notice")
        )
        found[one.delivery_id] = (
            one
            if first is None
            else replace(
                first,
                state=one.state,
                envelope=one.envelope,
                proof_followed=followed,
                saved_at=one.saved_at,
            )
        )
    return list(found.values())


def ordered(rows: Sequence[WorkRow]) -> list[WorkRow]:
    """What is not accepted first: urgent, then by when it must be accepted, then newest; after that
    the accepted, newest first.
    """
    newest = sorted(
        rows, key=lambda row: datetime.fromisoformat(row.waiting.delivered_at), reverse=True
    )
    return sorted(newest, key=_pressing)


def _pressing(row: WorkRow) -> tuple[bool, bool, str]:
    if row.state == "accepted":
        return True, False, ""
    return False, not row.urgent, (row.known.accept_by if row.known else "") or "~"


def known_of(
    content: Mapping[str, Any], delivered_at: str, *, promised: bool, opened: bool
) -> Known:
    """What a verified delivery says of its own handling; the case is named only once a person has
    opened it.

    What left on a promise left because somebody's life is in danger, so it is to be accepted as
    soon as what says so itself.
    """
    codes = (
        {"acknowledge-one-hour"}
        if promised
        else {str(one["code"]) for one in content["obligations"]}
    )
    by = accept_by(codes, datetime.fromisoformat(delivered_at))
    case = str(content["caseReference"])
    return Known(
        case if opened else "",
        bool(content["urgent"]),
        "" if by is None else by.astimezone(UTC).isoformat(),
        promised,
        opened,
        case_mark=hashlib.sha256(f"case\0{case}".encode()).hexdigest()[:32],
    )


def accept_by(codes: set[str], delivered: datetime) -> datetime | None:
    """When a delivery under these obligations must be accepted at the latest, None where none sets
    a time.

    Working days are Monday to Friday: bank holidays are not known here, so the moment is never too
    late.
    """
    if "acknowledge-one-hour" in codes:
        return delivered + timedelta(hours=1)
    if "acknowledge-two-days" not in codes:
        return None
    day, left = delivered, 2
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < 5
    return day
