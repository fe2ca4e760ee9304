"""Who may see what of the log. A table and three rules: entitlement is data of the caller, never
part of the request."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from common.access import Principal
from common.problems import Problem


@dataclass(frozen=True, slots=True)
class Mandates:
    """From the operator-signed bootstrap file: who may look beyond one agency, and until when (both
    days included).
    """

    area: str
    agencies: frozenset[str]
    people: Mapping[str, tuple[date, date]]
    clients: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a caller may see: the entries of `agency`, or of all when it is None."""

    agency: str | None

    def covers(self, agencies: frozenset[str]) -> bool:
        """Whether an entry about these agencies may be shown."""
        return self.agency is None or self.agency in agencies


def sight(principal: Principal, mandates: Mandates, today: date) -> Sight:
    """What this caller may see.

    Raises Problem `forbidden` for one who belongs to no agency and holds no mandate in force.

    1. A person with a dated mandate in force sees all. 2. The operator-signed auditor's
    client sees all. 3. Anybody else with the scope sees the entries in which their own agency acted
    or received.
    """
    if principal.agency == mandates.area:
        dates = mandates.people.get(principal.subject)
        if principal.kind == "person" and dates is not None and dates[0] <= today <= dates[1]:  # 1
            return Sight(None)
        if principal.kind == "system" and principal.client_id in mandates.clients:  # 2
            return Sight(None)
    elif principal.agency in mandates.agencies:  # 3
        return Sight(principal.agency)
    raise Problem("forbidden")
