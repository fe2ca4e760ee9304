"""Which screens a role has, and what each needs of the person's grants."""

from typing import Final

SCREENS: Final[dict[str, str]] = {
    "read_deliveries": "disclosure.read",
    "accept_delivery": "disclosure.acknowledge",
    "search_log": "audit.read",
}
"""Screen → scope it needs; the services behind decide again for themselves."""
