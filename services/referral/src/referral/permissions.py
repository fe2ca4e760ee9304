"""Who may do what here, as a table a reviewer can read. What has no row is denied."""

from collections.abc import Mapping
from typing import Final

from common.access import Permission

ACTIONS: Final[Mapping[str, Permission]] = {
    "submit_referral": Permission("referral.write", "collection"),
    "read_own_referral": Permission("referral.read", "consultation"),
    "list_sent_referrals": Permission("referral.read", "operation"),
    "mark_must_not_disclose": Permission("referral.write", "alteration"),
    "see_refused_intakes": Permission("referral.read", "operation"),
    "acknowledge_refused_intake": Permission("referral.write", "alteration"),
    "read_code_lists": Permission("referral.read", "operation"),
    "check_release": Permission("case.read", "operation", clients=frozenset({"svc-sharing"})),
}
