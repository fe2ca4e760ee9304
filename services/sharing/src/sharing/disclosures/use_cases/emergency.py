"""The emergency path: a named person releases on a promise what waits for its proof."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from common.access import Granted
from hubformats.agency_events import Promise
from hubformats.audit_record import Account, Actor, AuditEntry
from sharing.cases.model import CaseFile
from sharing.disclosures.model.disclosure import Disclosure, Hold, Step
from sharing.disclosures.model.evidence import Prepared
from sharing.disclosures.ports import CaseState, EmergencyTx, ReleaseTx, Unproven
from sharing.disclosures.use_cases.answers import due_when_released
from sharing.disclosures.use_cases.last_look import reason_against
from sharing.disclosures.use_cases.steps import ReleaseContext, entry, send
from sharing.second_look.model import Act, Filed

UNPROVEN_SHOWN: Final = 100
"""What waits and is urgent first, then the newest; anything else can still be asked for by its id.
"""

EMERGENCY_CODES: Final = frozenset(
    {"imminent_danger_to_life", "imminent_serious_harm", "child_in_immediate_danger"}
)


class DisclosureNotFound(LookupError):
    """No disclosure of that id belongs to the caller; the same for another's and for none."""


class NotWaiting(ValueError):
    """The disclosure does not wait for its audit receipt, or not any longer."""


class RecordRefused(ValueError):
    """The log has refused the disclosure's record; it cannot be promised."""


class Vetoed(ValueError):
    """The case has changed or is vetoed; nothing was released."""


class VetoesUnknown(RuntimeError):
    """The vetoes on the case cannot be read now."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """A named person's decision that waiting for the log is the greater danger.

    `text` is sealed into the audit record.
    """

    actor: Actor
    code: str
    text: str

    def __post_init__(self) -> None:
        """Check the code. Raises ValueError for one that is none."""
        if self.code not in EMERGENCY_CODES:
            raise ValueError("not an emergency code")


@dataclass(frozen=True, slots=True)
class OnPromise:
    """What an emergency release rests on: the log's promise, the last look's answer, and why."""

    promise: Promise
    state: CaseState | None
    why: Emergency


def unproven_of(
    tx: ReleaseTx, granted: Granted, actor: Actor, delivery_id: UUID | None = None
) -> tuple[tuple[Unproven, ...], bool]:
    """List what of the agency's own referrals has no proof yet, or one of it by its id.

    Also says whether there is more than is shown. For a person who may release in an emergency. Who
    reported for a third party learns only that it arrived. Recorded, and never refused for the age
    of the log's backlog. When the log does not answer, this is needed.
    """
    all_found = tx.disclosures.unproven(granted, UNPROVEN_SHOWN + 1, delivery_id)
    found = all_found[:UNPROVEN_SHOWN]
    tx.record(
        AuditEntry(
            operation="consultation",
            outcome="done",
            actor=actor,
            case_references=tuple(sorted({each.reference for each in found})),
            resource_type="unproven-disclosures",
            count=len(found),
            deliveries=tuple(str(each.disclosure.id) for each in found),
        )
    )
    return found, len(all_found) > len(found)


def prepare_emergency(
    tx: ReleaseTx, granted: Granted, delivery_id: UUID
) -> tuple[Disclosure, CaseFile]:
    """Return the disclosure and its case, if this person may release it now.

    Raises DisclosureNotFound, NotWaiting.
    """
    authorised = tx.disclosures.authorised(granted, delivery_id)
    case = None if authorised is None else tx.cases.find(authorised.disclosure.case_id)
    if authorised is None or case is None:
        raise DisclosureNotFound
    if not authorised.disclosure.can(Step.PROMISE):
        raise NotWaiting
    return authorised.disclosure, case


def release_in_emergency(
    tx: EmergencyTx, context: ReleaseContext, granted: Granted, delivery_id: UUID, on: OnPromise
) -> None:
    """Send with a promise instead of a proof, on a person's word; vetoes hold all the same.

    Raises DisclosureNotFound, NotWaiting, Vetoed, VetoesUnknown.
    """
    authorised = tx.disclosures.authorised(granted, delivery_id)
    if authorised is None:
        raise DisclosureNotFound
    disclosure = authorised.disclosure
    if not disclosure.can(Step.PROMISE):
        raise NotWaiting
    reason = reason_against(tx, context, disclosure, on.state)
    if reason in {Hold.NO_ANSWER, Hold.DIRECTORY_STALE}:
        raise VetoesUnknown
    if reason is not None:
        raise Vetoed
    tx.record(
        entry(
            tx,
            context,
            "emergency_release",
            "permit",
            disclosure,
            actor=on.why.actor,
            justification_code=on.why.code,
            emergency=True,
            human="named",
            account=Account(text=on.why.text),
        )
    )
    # The record's own id names the act: it is released once, so one item is filed.
    tx.second_looks.file(
        Filed(
            id=disclosure.record_id,
            act=Act.EMERGENCY_RELEASE,
            reason_code=on.why.code,
            case_id=disclosure.case_id,
            actors=(on.why.actor,),
            at=context.now(),
        )
    )
    prepared = Prepared(disclosure, tx.disclosures.evidence(authorised))
    sealed_to = context.directory.sealing_key(disclosure.recipient)
    due = due_when_released(tx, context, disclosure)
    sent = disclosure.promise(context.now(), on.promise.due, sealed_to, due)
    send(tx, context, prepared, sent, on.state, on.promise)
