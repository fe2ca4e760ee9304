"""Find the agreement of an area, and remind its owner of the review date."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from sharing.agreements.ports import Rules

_log = logging.getLogger("hub.sharing")


class NoAgreement(LookupError):
    """No agreement covers the area: nothing can be decided, so nothing may leave."""


@dataclass(frozen=True, slots=True)
class Agreements:
    """The agreements in force, by area; `texts` are the files of each that decide."""

    by_area: Mapping[str, Rules]
    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of_area(self, area: str) -> Rules:
        """Return the agreement of an area. Raises NoAgreement."""
        found = self.by_area.get(area)
        if found is None:
            raise NoAgreement("no-agreement")
        return found

    def remind(self, today: date) -> None:
        """Alarm for each agreement whose review date has passed (design section 13, rule 3)."""
        for rules in self.by_area.values():
            if rules.agreement.lapsed(today):
                _log.error(
                    "agreement needs its owner",
                    extra={
                        "alarm": "agreement-review-lapsed",
                        "agreement": rules.agreement.terms.id,
                    },
                )
