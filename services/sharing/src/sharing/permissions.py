"""Who may do what here, as a table a reviewer can read. What has no row is denied.

Agency and relation to the case are judged where the case is looked up.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from common.access import SECOND_FACTOR, Permission

_OFFICERS: Final = frozenset({"privacy_officer"})
_AUTHORITY: Final = frozenset({"idva_manager", "marac_coordinator"})

ACTIONS: Final[Mapping[str, Permission]] = {
    "list_agreements": Permission("directory.read", "operation"),
    "read_inbox": Permission("disclosure.read", "consultation"),
    "ask_standing": Permission("disclosure.read", "operation"),
    "read_notices": Permission("disclosure.read", "operation"),
    "see_delays": Permission("disclosure.read", "operation"),
    "save_delivery": Permission("disclosure.acknowledge", "alteration"),
    "acknowledge_delivery": Permission("disclosure.acknowledge", "alteration"),
    "preview_decision": Permission("sharing.request", "consultation"),
    "list_disclosures": Permission("sharing.request", "consultation"),
    "see_unproven": Permission(
        "sharing.request", "consultation", person=True, roles=_AUTHORITY, acr=SECOND_FACTOR
    ),
    "release_in_emergency": Permission(
        "sharing.request",
        "disclosure",
        person=True,
        roles=_AUTHORITY,
        acr=SECOND_FACTOR,
        step_up=timedelta(minutes=15),
    ),
    "see_second_looks": Permission("case.read", "consultation", person=True, roles=_OFFICERS),
    "read_look_reasons": Permission("case.read", "operation", person=True, roles=_OFFICERS),
    "review_second_look": Permission("case.write", "alteration", person=True, roles=_OFFICERS),
    "see_stuck": Permission("agency.manage", "operation"),
    "see_key_uses": Permission("agency.manage", "operation"),
    "decide_again": Permission("agency.manage", "disclosure"),
}
