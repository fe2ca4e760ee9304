"""What a person does about disclosures without proof: list them, follow one, read its clause.

Letting one go is `Releases.release`. Sharing asks the vetoes again and records who did it.
"""

from common.access import Granted
from portal.emergency.model import Unproven, UnprovenList, most_pressing
from portal.emergency.ports import Releases
from portal.shell.model import CallRefused, NoAnswer, TokenRefused


async def unproven(granted: Granted, releases: Releases) -> UnprovenList:
    """List what of the agency's own referrals has no proof yet, the most pressing first."""
    found = await releases.unproven(granted)
    return UnprovenList(tuple(most_pressing(found.items)), found.more)


async def one_unproven(granted: Granted, releases: Releases, delivery_id: str) -> Unproven | None:
    """Find one that has no proof yet."""
    found = await releases.unproven(granted, delivery_id)
    return next((each for each in found.items if each.delivery_id == delivery_id), None)


async def proven_after_send(
    granted: Granted, releases: Releases, delivery_id: str, case_reference: str
) -> Unproven | None:
    """Find one that this person saw leave on a promise, None until it is proven."""
    found = await releases.after_send(granted, delivery_id, case_reference)
    return found if found is not None and found.proven else None


async def clause_text(releases: Releases, item: Unproven) -> str:
    """Read what the clause says.

    Empty when that cannot be read now, because nothing may keep the form back.
    """
    try:
        return (await releases.clauses()).get(item.clause, "")
    except (CallRefused, NoAnswer, TokenRefused):
        return ""
