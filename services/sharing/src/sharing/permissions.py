"""Who may do what here, as a table a reviewer can read. What has no row is denied."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from common.access import Granted


@dataclass(frozen=True, slots=True)
class Row:
    """One action: the scope it needs, and for what only people may do, the roles that have the
    authority.
    """

    scope: str
    people_only: bool = False
    roles: frozenset[str] = frozenset()


_AUTHORITY: Final = frozenset({"idva_manager", "marac_coordinator"})

ACTIONS: Final[Mapping[str, Row]] = {
    "read_inbox": Row("disclosure.read"),
    "save_delivery": Row("disclosure.acknowledge"),
    "acknowledge_delivery": Row("disclosure.acknowledge"),
    "preview_decision": Row("sharing.request"),
    "list_disclosures": Row("sharing.request"),
    "see_unproven": Row("sharing.request", people_only=True, roles=_AUTHORITY),
    "release_in_emergency": Row("sharing.request", people_only=True, roles=_AUTHORITY),
    "see_stuck": Row("agency.manage"),
    "decide_again": Row("agency.manage"),
    "decide": Row("case.read"),
}

SECOND_FACTOR: Final = frozenset({"urn:hub:acr:passkey", "urn:hub:acr:totp", "urn:hub:acr:demo"})
"""Values of `acr` that count as more than a password.

The last is issued in demo mode only (identity).
"""


def may(action: str, granted: Granted) -> bool:
    """Whether the grant covers the action.

    Agency and relationship to the case are judged where the case is known.
    """
    row = ACTIONS.get(action)
    if row is None or granted.scope != row.scope:
        return False
    who = granted.principal
    if row.people_only and (who.kind != "person" or who.acr not in SECOND_FACTOR):
        return False
    return not row.roles or bool(row.roles & who.roles)
