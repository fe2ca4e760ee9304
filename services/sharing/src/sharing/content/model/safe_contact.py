"""How a victim may be contacted safely, as one recipient is told it."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from common.events.case import CaseSnapshot, Fact
from sharing.content.model.projection import Projection, ShownFact

LONDON: Final = ZoneInfo("Europe/London")
"""A day on a form is a day where its people live: just after a summer midnight it is still
yesterday in UTC.
"""


def safe_contact(
    snapshot: CaseSnapshot, projection: Projection, seen: Sequence[ShownFact]
) -> dict[str, Any]:
    """Make the strip that stands above everything else.

    Anything but a plain yes means: do not contact (design section 13, rule 2).

    The number of a means of contact stands with its rule only when phone numbers are permitted too.
    A postal address stands only when the address is permitted. `safeUntil` is the last day on which
    "safe" holds: who shows this later judges anew. Means that are not verified any longer are for
    the advocate alone (rule 5).
    """
    rules: list[ShownFact] = []
    means: dict[str, list[ShownFact]] = {}
    for each in seen:
        before, found, rest = each.fact.path.partition(".means.")
        if found:
            means.setdefault(f"{before}.{rest.partition('.')[0]}", []).append(each)
        elif each.fact.category == "victim_safe_contact":
            rules.append(each)
    stated = [each.fact for each in rules]
    verified = next(
        (str(each.item["value"]) for each in rules if _leaf(each.fact) == "last_verified"), None
    )
    on = (projection.decided_at or snapshot.received_at).astimezone(LONDON).date()
    day = _day_verified(verified, on)
    # The limit is the rules' under which the referral was made; a snapshot that states none vouches
    # for nothing.
    until = (
        day + timedelta(days=snapshot.safe_contact_days)
        if day and snapshot.safe_contact_days
        else None
    )
    status = _safe_status(
        stated, [each.fact for group in means.values() for each in group], known=day is not None
    )
    if status == "safe" and (until is None or on > until):
        status = "unverified"
    told = () if status == "unverified" and not projection.advocate else means.values()
    return {
        "status": status,
        "doNotContact": status != "safe",
        "lastVerified": verified,
        "safeUntil": None if until is None else until.isoformat(),
        "advocate": projection.advocate,
        "items": [each.item for each in rules],
        "means": [[each.item for each in group] for group in told],
    }


def _day_verified(verified: str | None, on: date) -> date | None:
    """Read the day, if it is one.

    One that has not come yet is a slip of the keyboard, and would vouch for years.
    """
    try:
        day = None if verified is None else date.fromisoformat(verified)
    except ValueError:
        return None
    return None if day is None or day > on else day


def _safe_status(rules: list[Fact], means: list[Fact], *, known: bool) -> str:
    """Return what the form says; `known` says that it also tells when that was verified."""
    stated = {fact.value for fact in rules if _leaf(fact) == "status"}
    if stated == {"do_not_contact"}:
        return "unsafe"
    named = any(_leaf(fact) == "safe" and fact.value == "yes" for fact in means)
    return "safe" if stated == {"known"} and known and named else "unknown"


def _leaf(fact: Fact) -> str:
    return fact.path.rpartition(".")[2]
