"""Which screens a role has, and what each needs of the person's grants."""

from typing import Final

SCREENS: Final[dict[str, str]] = {
    "read_deliveries": "disclosure.read",
    "accept_delivery": "disclosure.acknowledge",
    "search_log": "audit.read",
    "release_in_emergency": "sharing.request",
}
"""Screen → scope it needs; the services behind decide again for themselves.

The last is in no usual sign-in: it is asked for at a second one, by people with the role alone.
"""
