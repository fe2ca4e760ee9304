"""Who may call what: the one table, read by the guard of `depends`."""

from collections.abc import Mapping
from typing import Final

from common.access import Permission

ACTIONS: Final[Mapping[str, Permission]] = {
    "ask_question": Permission("audit.read", "consultation"),
    "read_answers": Permission("audit.read", "consultation"),
    "read_entry": Permission("audit.read", "consultation"),
    "read_proof": Permission("audit.read", "consultation"),
    "read_completeness": Permission("audit.read", "consultation"),
    "check_proof": Permission("audit.verify", "operation"),
    "check_search_rows": Permission("agency.manage", "operation"),
    "rebuild_search_rows": Permission("agency.manage", "operation"),
}
