"""Alarms a sender's desk of each intake that was refused (design section 13, rule 2)."""

import logging
from dataclasses import dataclass
from typing import Final

from common.access import Refusal
from common.web.idempotency import Idempotency
from hubformats.canonical import CanonicalError, parse
from referral.context import Context
from referral.intake import use_cases
from referral.intake.model.refused import IntakeMarks
from referral.intake.ports import IntakeStore

_log = logging.getLogger("hub.referral")
_INTAKE_ROUTE: Final = "/v1/referrals"
_STILL_COMING: Final = "idempotency-in-flight"


@dataclass(frozen=True, slots=True)
class DeskAlarms:
    """Hears of refused requests from the web frame."""

    store: IntakeStore
    context: Context
    idempotency: Idempotency

    async def raise_for(self, refusal: Refusal) -> None:
        """Alarm the desk of a known sender, for whatever reason, until that intake is corrected.

        A dry run collects nothing, so nothing was refused; and what is still being handled has its
        own answer coming.
        """
        codes = refusal.reasons.keys() - {_STILL_COMING}
        if (
            refusal.principal is None
            or refusal.route != _INTAKE_ROUTE
            or refusal.operation != "collection"
            or not codes
        ):
            return
        agency, code, marks = refusal.principal.agency, min(codes), self._marks(refusal)
        _log.warning(
            "an intake was refused",
            extra={"alarm": "intake-refused", "agency": agency, "code": code},
        )
        many = await self.store.write(
            lambda tx: use_cases.refuse_intake(tx, agency, code, marks, self.context)
        )
        if many:
            # If we crash before this line, the list still holds every one and says how many.
            _log.error(
                "a desk no longer keeps up with its refused intakes",
                extra={"alarm": "refused-intakes-many", "agency": agency},
            )

    def _marks(self, refusal: Refusal) -> IntakeMarks:
        sent, who = refusal.sent, refusal.principal
        if sent is None or who is None:
            return IntakeMarks(None, None)
        key = sent.idempotency_key
        mark = self.idempotency.name(who, key) if key else None
        return IntakeMarks(mark, reference_in(sent.body))


def reference_in(body: bytes) -> str | None:
    """Read the sender's own reference from a body that was refused, if that much can be read."""
    try:
        form = parse(body)
    except CanonicalError:
        return None
    reference = form.get("externalReference") if isinstance(form, dict) else None
    return reference if isinstance(reference, str) and reference.strip() else None
