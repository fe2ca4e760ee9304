"""Dates of what has happened. One in the future is a slip of the keyboard. It would vouch for a
contact, or make a child of an adult.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from referral.intake.model.errors import FormFault
from referral.intake.model.form import FullReferral
from referral.risk.model import Rules


def future_dates(form: FullReferral, rules: Rules, now: datetime) -> list[FormFault]:
    """Find each date of `form` that lies after `now` (UTC) by more than the rules forgive."""
    return [
        FormFault(pointer, "must not be in the future")
        for pointer in _ahead(form, now + timedelta(minutes=rules.ahead_minutes))
    ]


def _ahead(form: FullReferral, latest: datetime) -> Iterator[str]:
    today = latest.date()
    for place, person in enumerate(form.people):
        yield from (
            f"/people/{place}/birthDates/{which}"
            for which, born in enumerate(person.birth_dates)
            if born > today
        )
    if form.incident.occurred_at > latest:
        yield "/incident/occurredAt"
    if form.risk is not None and form.risk.assessed_on > today:
        yield "/risk/assessedOn"
    if form.safe_contact.last_verified is not None and form.safe_contact.last_verified > today:
        yield "/safeContact/lastVerified"
