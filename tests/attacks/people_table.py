"""Which roles of people may call what, with the most that a sign-in can ever give them. What has no
row is refused to all of them."""

from collections.abc import Mapping
from typing import Final

from tests.support.inner_hub import CLOCK, POLICE, InnerHub

AGENCY_OF: Final[Mapping[str, str]] = {
    "idva": "northmoor-idva",
    "idva_manager": "northmoor-idva",
    "police_officer": "northmoor-police",
    "marac_coordinator": "northmoor-police",
    "social_worker": "northmoor-social-care",
    "safeguarding_lead": "northmoor-school",
    "privacy_officer": "northmoor",
    "auditor": "northmoor",
    "operator": "northmoor",
}
"""Every role there is, and an agency such a person works for."""

EVERYBODY: Final = frozenset(AGENCY_OF)
PRACTITIONERS: Final = frozenset(
    {"idva", "idva_manager", "police_officer", "marac_coordinator", "social_worker"}
)
FRONT_LINE: Final = PRACTITIONERS | {"safeguarding_lead"}
AUTHORITY: Final = frozenset({"idva_manager", "marac_coordinator"})
OFFICERS: Final = frozenset({"privacy_officer"})
SECOND_PERSONS: Final = AUTHORITY | {"privacy_officer"}
OPERATOR: Final = frozenset({"operator"})

_OPERATED: Final[Mapping[str, tuple[frozenset[str], int]]] = {
    "POST /v1/operator/pause": (OPERATOR, 200),
    "POST /v1/operator/resume": (OPERATOR, 200),
    "GET /v1/operator/quarantine": (OPERATOR, 200),
    "POST /v1/operator/quarantine/replay": (OPERATOR, 422),
    "POST /v1/operator/quarantine/discard": (OPERATOR, 422),
}

PEOPLE: Final[Mapping[str, Mapping[str, tuple[frozenset[str], int]]]] = {
    "referral": {
        **_OPERATED,
        "POST /v1/referrals": (FRONT_LINE, 422),
        "GET /v1/referrals": (FRONT_LINE, 200),
        "GET /v1/referrals/{referral_id}": (FRONT_LINE, 404),
        "POST /v1/referrals/{referral_id}/must-not-disclose": (FRONT_LINE, 422),
        "POST /v1/referrals/{referral_id}/vetoes": (FRONT_LINE, 422),
        "GET /v1/referrals/{referral_id}/vetoes": (FRONT_LINE, 404),
        "POST /v1/referrals/{referral_id}/vetoes/{veto_id}/liftings": (FRONT_LINE, 422),
        "POST /v1/agency-vetoes": (FRONT_LINE, 422),
        "POST /v1/case-vetoes": (OFFICERS, 422),
        "GET /v1/case-vetoes": (OFFICERS, 422),
        "POST /v1/case-vetoes/{veto_id}/liftings": (OFFICERS, 422),
        "GET /v1/veto-liftings": (SECOND_PERSONS, 200),
        "GET /v1/lapsed-liftings": (FRONT_LINE, 200),
        "GET /v1/veto-liftings/{lifting_id}": (SECOND_PERSONS, 404),
        "POST /v1/veto-liftings/{lifting_id}/confirmation": (SECOND_PERSONS, 422),
        "POST /v1/veto-liftings/{lifting_id}/refusal": (SECOND_PERSONS, 422),
        "GET /v1/veto-reasons": (EVERYBODY, 200),
        "GET /v1/code-lists": (FRONT_LINE, 200),
        "GET /v1/refused-intakes": (FRONT_LINE, 200),
        "POST /v1/refused-intakes/{refused_id}/acknowledgement": (FRONT_LINE, 422),
    },
    "sharing": {
        **_OPERATED,
        "GET /v1/inbox": (FRONT_LINE, 200),
        "GET /v1/inbox/{delivery_id}": (FRONT_LINE, 404),
        "GET /v1/inbox/{delivery_id}/standing": (FRONT_LINE, 404),
        "GET /v1/notices": (FRONT_LINE, 200),
        "POST /v1/disclosures/{delivery_id}/receipt": (FRONT_LINE, 422),
        "POST /v1/disclosures/{delivery_id}/acknowledgement": (FRONT_LINE, 422),
        "POST /v1/disclosures/{delivery_id}/answer": (FRONT_LINE, 422),
        "GET /v1/second-looks": (OFFICERS, 200),
        "GET /v1/second-looks/{look_id}": (OFFICERS, 404),
        "POST /v1/second-looks/{look_id}/owner": (OFFICERS, 404),
        "POST /v1/second-looks/{look_id}/outcome": (OFFICERS, 422),
        "GET /v1/second-look-reasons": (OFFICERS, 200),
        "GET /v1/agreements": (EVERYBODY, 200),
        "POST /v1/decisions/preview": (PRACTITIONERS, 422),
        "GET /v1/disclosures": (PRACTITIONERS, 422),
        "GET /v1/disclosures/delayed": (FRONT_LINE, 200),
        "GET /v1/disclosures/stuck": (OPERATOR, 200),
        "GET /v1/compromised-key-uses": (OPERATOR, 200),
        "GET /v1/disclosures/unproven": (AUTHORITY, 200),
        "POST /v1/disclosures/decide-again": (OPERATOR, 422),
        "POST /v1/disclosures/{delivery_id}/emergency-release": (AUTHORITY, 422),
    },
    "audit": {
        **_OPERATED,
        "POST /v1/queries": (frozenset({"auditor"}), 422),
        "POST /v1/verifications": (EVERYBODY - {"safeguarding_lead"}, 422),
        "POST /v1/search-rows/check": (OPERATOR, 200),
        "POST /v1/search-rows/rebuild": (OPERATOR, 200),
        # What an auditor may look at depends on the mandate and the question, not on the role: an
        # auditor without them is refused.
    },
    "identity": {
        **_OPERATED,
        "GET /v1/agencies": (EVERYBODY, 200),
        "GET /v1/agencies/{agency_id}": (EVERYBODY, 404),
        "POST /v1/agencies/{agency_id}/suspension": (OPERATOR, 422),
        "DELETE /v1/agencies/{agency_id}/suspension": (OPERATOR, 422),
        "POST /v1/agencies/{agency_id}/key-retirements": (OPERATOR, 422),
        "GET /v1/me": (EVERYBODY, 404),  # an invented person, whom the bootstrap file does not know
    },
    "portal": _OPERATED,
}


def token_of_a_person(hub: InnerHub, service: str, route: str, scope: str) -> tuple[str, str]:
    """The token of a person whom the table lets call the route, signed in now, and the agency."""
    role = min(PEOPLE[service][route][0])
    token = hub.minted(
        POLICE,
        service,
        sub=f"p-{role}",
        client_id="portal",
        agency=AGENCY_OF[role],
        roles=[role],
        acr="urn:hub:acr:demo",
        scope=scope,
        auth_time=int(CLOCK.now().timestamp()),
    )
    return token, AGENCY_OF[role]
