"""Where the disclosures of an agency's own referral stand."""

from common.access import Granted
from hubformats.audit_record import Actor, AuditEntry
from sharing.cases.model import CaseNotFound
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.ports import ReleaseTx


def disclosures_of(
    tx: ReleaseTx, granted: Granted, actor: Actor, reference: str
) -> tuple[Disclosure, ...]:
    """List the disclosures of the agency's own referral, oldest first. Opens no facts.

    Who reported for a third party learns only that it arrived.

    Raises CaseNotFound.
    """
    authorised = tx.cases.authorised_by_reference(granted, reference)
    if authorised is None:
        raise CaseNotFound
    case_id = authorised.case.case_id
    tx.record(
        AuditEntry(
            operation="consultation",
            outcome="done",
            actor=actor,
            case_id=case_id,
            case_references=(reference,),
            resource_type="disclosures",
        )
    )
    return tx.disclosures.of_case(case_id)
