"""Who may call what, route by route: a reviewer reads it, a test holds every service to it, and
what has no row fails the test."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

AGENCIES: Final = frozenset(
    {
        "northmoor-police",
        "northmoor-idva",
        "northmoor-social-care",
        "northmoor-victim-support",
        "northmoor-probation",
        "northmoor-housing",
        "northmoor-health",
        "northmoor-school",
    }
)
OPERATOR: Final = frozenset({"operator"})
AUDITOR: Final = frozenset({"auditor"})
SERVICES: Final = frozenset({"svc-sharing", "svc-referral"})
EVERYONE: Final = AGENCIES | OPERATOR | AUDITOR | SERVICES
NOBODY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """Those in `who` pass the guard and get `then` for a bare request; all others 403, and 401
    without a token.
    """

    who: frozenset[str]
    then: int


@dataclass(frozen=True, slots=True)
class Open:
    """Anybody gets `then` for a bare request, token or not."""

    then: int


_OPERATED: Final[Mapping[str, Row | Open]] = {
    "POST /v1/operator/pause": Row(OPERATOR, 200),
    "POST /v1/operator/resume": Row(OPERATOR, 200),
    "GET /v1/operator/quarantine": Row(OPERATOR, 200),
    "POST /v1/operator/quarantine/replay": Row(OPERATOR, 422),
    "POST /v1/operator/quarantine/discard": Row(OPERATOR, 422),
    "GET /healthz": Open(200),
    "GET /readyz": Open(200),
    "GET /metrics": Open(200),
    "GET /openapi.json": Open(200),
    "GET /docs": Open(200),
    "GET /docs/start.js": Open(200),
    "GET /docs/swagger-ui-bundle.js": Open(200),
    "GET /docs/swagger-ui.css": Open(200),
}

TABLE: Final[Mapping[str, Mapping[str, Row | Open]]] = {
    "referral": {
        **_OPERATED,
        "POST /v1/referrals": Row(AGENCIES, 422),
        "GET /v1/referrals": Row(AGENCIES, 200),
        "GET /v1/referrals/{referral_id}": Row(AGENCIES, 404),
        "POST /v1/referrals/{referral_id}/must-not-disclose": Row(AGENCIES, 422),
        "POST /v1/referrals/{referral_id}/vetoes": Row(AGENCIES, 422),
        "GET /v1/referrals/{referral_id}/vetoes": Row(AGENCIES, 404),
        "POST /v1/referrals/{referral_id}/vetoes/{veto_id}/liftings": Row(NOBODY, 403),
        "POST /v1/agency-vetoes": Row(AGENCIES, 422),
        "POST /v1/case-vetoes": Row(NOBODY, 403),
        "GET /v1/case-vetoes": Row(NOBODY, 403),  # privacy officers alone
        "POST /v1/case-vetoes/{veto_id}/liftings": Row(NOBODY, 403),
        "GET /v1/veto-liftings": Row(NOBODY, 403),  # named people alone, here and below
        "GET /v1/lapsed-liftings": Row(AGENCIES, 200),
        "GET /v1/veto-liftings/{lifting_id}": Row(NOBODY, 403),
        "POST /v1/veto-liftings/{lifting_id}/confirmation": Row(NOBODY, 403),
        "POST /v1/veto-liftings/{lifting_id}/refusal": Row(NOBODY, 403),
        "GET /v1/veto-reasons": Row(EVERYONE, 200),
        "GET /v1/code-lists": Row(AGENCIES, 200),
        "GET /v1/refused-intakes": Row(AGENCIES, 200),
        "POST /v1/refused-intakes/{refused_id}/acknowledgement": Row(AGENCIES, 422),
        "POST /v1/release-checks": Row(frozenset({"svc-sharing"}), 422),
        "POST /v1/release-check-batches": Row(frozenset({"svc-sharing"}), 422),
    },
    "sharing": {
        **_OPERATED,
        "GET /v1/inbox": Row(AGENCIES, 200),
        "GET /v1/inbox/{delivery_id}": Row(AGENCIES, 404),
        "GET /v1/inbox/{delivery_id}/standing": Row(AGENCIES, 404),
        "GET /v1/notices": Row(AGENCIES, 200),
        "POST /v1/disclosures/{delivery_id}/receipt": Row(AGENCIES, 422),
        "POST /v1/disclosures/{delivery_id}/acknowledgement": Row(AGENCIES, 422),
        "GET /v1/second-looks": Row(NOBODY, 403),  # privacy officers alone, here and below
        "GET /v1/second-looks/{look_id}": Row(NOBODY, 403),
        "POST /v1/second-looks/{look_id}/owner": Row(NOBODY, 403),
        "POST /v1/second-looks/{look_id}/outcome": Row(NOBODY, 403),
        "GET /v1/second-look-reasons": Row(NOBODY, 403),
        "POST /v1/disclosures/{delivery_id}/answer": Row(AGENCIES, 422),
        "GET /v1/agreements": Row(EVERYONE, 200),
        "POST /v1/decisions/preview": Row(AGENCIES, 422),
        "GET /v1/disclosures": Row(AGENCIES, 422),
        "GET /v1/disclosures/delayed": Row(AGENCIES, 200),
        "GET /v1/disclosures/stuck": Row(OPERATOR, 200),
        "GET /v1/compromised-key-uses": Row(OPERATOR, 200),
        "GET /v1/disclosures/unproven": Row(NOBODY, 403),  # a named person alone
        "POST /v1/disclosures/decide-again": Row(OPERATOR, 422),
        "POST /v1/disclosures/{delivery_id}/emergency-release": Row(
            NOBODY, 403
        ),  # a named person alone
    },
    "audit": {
        **_OPERATED,
        "GET /log/checkpoint": Open(200),
        "GET /log/vkey": Open(200),
        "GET /log/genesis": Open(200),
        "GET /log/tile/{place}": Open(404),
        "POST /v1/queries": Row(AUDITOR, 422),
        "GET /v1/queries/{query_id}/entries": Row(AUDITOR, 404),
        "GET /v1/completeness": Row(AUDITOR, 200),
        "GET /v1/entries/{index}": Row(AUDITOR, 403),  # purpose-required: no question was asked yet
        "GET /v1/entries/{index}/proof": Row(AUDITOR, 403),
        "POST /v1/verifications": Row(EVERYONE, 422),
        "POST /v1/search-rows/check": Row(OPERATOR, 200),
        "POST /v1/search-rows/rebuild": Row(OPERATOR, 200),
    },
    "identity": {
        **_OPERATED,
        "POST /token": Open(401),
        "POST /par": Open(401),
        "POST /introspect": Open(401),
        "POST /revoke": Open(401),
        "GET /jwks": Open(200),
        "GET /.well-known/oauth-authorization-server": Open(200),
        "GET /.well-known/openid-configuration": Open(200),
        "GET /authorize": Open(400),
        "POST /authorize": Open(403),
        "GET /v1/agencies": Row(EVERYONE, 200),
        "GET /v1/agencies/{agency_id}": Row(EVERYONE, 404),
        "POST /v1/agencies/{agency_id}/suspension": Row(OPERATOR, 422),
        "DELETE /v1/agencies/{agency_id}/suspension": Row(OPERATOR, 422),
        "POST /v1/agencies/{agency_id}/key-retirements": Row(AGENCIES | OPERATOR, 422),
        "GET /v1/directory/keys": Open(200),
        "PUT /v1/directory/services/{service}": Row(SERVICES, 422),
        "GET /v1/me": Row(NOBODY, 403),  # people alone
    },
    # A session cookie decides in the portal; without one its pages say 401 and show the way to sign
    # in, whatever token comes along.
    "portal": {
        **_OPERATED,
        "GET /": Open(200),
        "POST /sign-in": Open(403),
        "GET /sign-in/callback": Open(400),
        "POST /sign-in/again": Open(401),
        "POST /sign-out": Open(401),
        "POST /stay": Open(401),
        "GET /leave": Open(303),
        "GET /no-screens": Open(401),
        "GET /hidden": Open(200),
        "GET /accessibility": Open(200),
        "GET /work": Open(401),
        "GET /work/renewed": Open(401),
        "GET /deliveries/{delivery_id}": Open(401),
        "GET /deliveries/{delivery_id}/standing": Open(401),
        "POST /deliveries/{delivery_id}/accept": Open(401),
        "POST /deliveries/{delivery_id}/answer": Open(401),
        "GET /emergency": Open(401),
        "GET /emergency/{delivery_id}": Open(401),
        "POST /emergency/{delivery_id}": Open(401),
        "GET /second-looks": Open(401),
        "GET /second-looks/{look_id}": Open(401),
        "POST /second-looks/{look_id}": Open(401),
        "POST /second-looks/{look_id}/owner": Open(401),
        "GET /vetoes": Open(401),
        "GET /vetoes/{referral_id}": Open(401),
        "POST /vetoes/{referral_id}": Open(401),
        "GET /vetoes/{referral_id}/{veto_id}": Open(401),
        "POST /vetoes/{referral_id}/{veto_id}": Open(401),
        "GET /liftings": Open(401),
        "GET /liftings/{lifting_id}": Open(401),
        "POST /liftings/{lifting_id}": Open(401),
        "GET /audit-log": Open(401),
        "POST /audit-log": Open(401),
        "GET /audit-log/queries/{query_id}": Open(401),
        "GET /audit-log/entries/{index}": Open(401),
        "GET /audit-log/entries/{index}/proof": Open(401),
        "GET /assets/{version}/{name}": Open(404),
    },
}
