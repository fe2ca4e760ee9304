"""Who may do what here, as a table a reviewer can read. What has no row is denied."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from common.access import SECOND_FACTOR, Permission

_OFFICERS: Final = frozenset({"privacy_officer"})
SECOND_PERSONS: Final = frozenset({"idva_manager", "marac_coordinator", "privacy_officer"})
"""Roles that may answer as the second person; which case and veto, `vetoes.model.RIGHTS` says."""
_FRESH: Final = timedelta(minutes=15)

ACTIONS: Final[Mapping[str, Permission]] = {
    "submit_referral": Permission("referral.write", "collection"),
    "read_own_referral": Permission("referral.read", "consultation"),
    "list_sent_referrals": Permission("referral.read", "operation"),
    "mark_must_not_disclose": Permission("referral.write", "alteration"),
    "see_refused_intakes": Permission("referral.read", "operation"),
    "acknowledge_refused_intake": Permission("referral.write", "alteration"),
    "read_code_lists": Permission("referral.read", "operation"),
    "set_veto": Permission("referral.write", "alteration"),
    "read_vetoes": Permission("referral.read", "consultation"),
    "read_veto_reasons": Permission("directory.read", "operation"),
    "ask_lifting": Permission(
        "referral.write", "alteration", person=True, acr=SECOND_FACTOR, step_up=_FRESH
    ),
    "set_agency_veto": Permission("referral.write", "alteration"),
    "set_case_veto": Permission("case.write", "alteration", person=True, roles=_OFFICERS),
    "read_case_vetoes": Permission("case.read", "consultation", person=True, roles=_OFFICERS),
    "ask_case_lifting": Permission(
        "case.write",
        "alteration",
        person=True,
        roles=_OFFICERS,
        acr=SECOND_FACTOR,
        step_up=_FRESH,
    ),
    "see_liftings": Permission("case.read", "consultation", person=True, roles=SECOND_PERSONS),
    "see_lapsed_liftings": Permission("referral.read", "consultation"),
    "confirm_lifting": Permission(
        "case.write",
        "alteration",
        person=True,
        roles=SECOND_PERSONS,
        acr=SECOND_FACTOR,
        step_up=_FRESH,
    ),
    "refuse_lifting": Permission("case.write", "alteration", person=True, roles=SECOND_PERSONS),
    "check_release": Permission("case.read", "operation", clients=frozenset({"svc-sharing"})),
}
