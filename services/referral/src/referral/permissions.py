"""Who may do what here, as a table a reviewer can read. What has no row is denied."""

from collections.abc import Mapping

from common.access import Granted

ACTIONS: Mapping[str, Mapping[str, str]] = {
    "submit_referral": {"scope": "referral.write", "kind": "any", "operation": "collection"},
    "read_own_referral": {"scope": "referral.read", "kind": "any", "operation": "consultation"},
    "mark_must_not_disclose": {"scope": "referral.write", "kind": "any", "operation": "alteration"},
    "see_refused_intakes": {"scope": "referral.read", "kind": "any", "operation": "operation"},
    "acknowledge_refused_intake": {
        "scope": "referral.write",
        "kind": "any",
        "operation": "alteration",
    },
    "read_code_lists": {"scope": "referral.read", "kind": "any", "operation": "operation"},
    "check_release": {"scope": "case.read", "kind": "svc-sharing", "operation": "operation"},
}


def may(action: str, granted: Granted) -> bool:
    """Whether the grant covers `action`: its scope, and for work between services the one client
    that may ask.
    """
    rule = ACTIONS.get(action)
    if rule is None or granted.scope != rule["scope"]:
        return False
    return rule["kind"] == "any" or granted.principal.client_id == rule["kind"]
