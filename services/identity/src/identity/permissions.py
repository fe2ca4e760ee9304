"""Who may call what: the one table, read by the guard of `depends`."""

from collections.abc import Mapping
from typing import Final

from common.access import Permission
from hubformats.bootstrap import SERVICES

ACTIONS: Final[Mapping[str, Permission]] = {
    "list_agencies": Permission("directory.read", "operation"),
    "read_agency": Permission("directory.read", "operation"),
    "suspend_agency": Permission("agency.manage", "operation"),
    "restore_agency": Permission("agency.manage", "operation"),
    "retire_key": Permission("key.manage", "operation"),
    "publish_service_keys": Permission(
        "directory.read", "operation", clients=frozenset(f"svc-{name}" for name in SERVICES)
    ),
    "read_me": Permission("directory.read", "operation", person=True),
}
