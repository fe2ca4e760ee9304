"""What each action asks of the signed-in person. The pages' guard alone reads this table."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from common.access import SECOND_FACTOR, Permission

AUTHORITY: Final = frozenset({"idva_manager", "marac_coordinator"})
"""Roles that may release in an emergency (design section 8)."""

OFFICERS: Final = frozenset({"privacy_officer"})
SECOND_PERSONS: Final = AUTHORITY | OFFICERS
"""Roles that may answer as the second person when a veto is to be lifted (referral)."""

_SIGN_IN_LASTS: Final = timedelta(minutes=15)
"""How old a sign-in the services accept for an act that asks for a fresh one; they decide."""
_TIME_TO_WRITE: Final = timedelta(minutes=3)
"""Who must sign in again is asked before writing, not after."""
FRESH: Final = _SIGN_IN_LASTS - _TIME_TO_WRITE

ACTIONS: Final[Mapping[str, Permission]] = {
    "read_deliveries": Permission("disclosure.read", "consultation", person=True),
    "accept_delivery": Permission("disclosure.acknowledge", "operation", person=True),
    "search_log": Permission("audit.read", "consultation", person=True),
    "read_unproven": Permission(
        "sharing.request",
        "consultation",
        person=True,
        roles=AUTHORITY,
        acr=SECOND_FACTOR,
        step_up=FRESH,
    ),
    "see_vetoes": Permission("referral.read", "consultation", person=True),
    "set_veto": Permission("referral.write", "alteration", person=True),
    "ask_lifting": Permission(
        "referral.write", "alteration", person=True, acr=SECOND_FACTOR, step_up=FRESH
    ),
    "see_liftings": Permission("case.read", "consultation", person=True, roles=SECOND_PERSONS),
    "confirm_lifting": Permission(
        "case.write",
        "alteration",
        person=True,
        roles=SECOND_PERSONS,
        acr=SECOND_FACTOR,
        step_up=FRESH,
    ),
    "see_second_looks": Permission("case.read", "consultation", person=True, roles=OFFICERS),
    "review_second_look": Permission("case.write", "alteration", person=True, roles=OFFICERS),
    # Without a limit of its own: what was sent in time is sharing's to judge.
    "release_in_emergency": Permission(
        "sharing.request", "disclosure", person=True, roles=AUTHORITY
    ),
}
"""The services behind decide again for themselves.

The scope of a release is in no usual sign-in. A second sign-in asks for it.
"""
