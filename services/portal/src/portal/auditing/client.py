"""The audit log, as one signed-in auditor may ask it."""

from collections.abc import Mapping
from typing import Any

from common.access import Granted
from portal.shell.ports import Calls


class ServiceAuditLog:
    """Fulfils `portal.auditing.ports.AuditLog`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def ask(
        self, granted: Granted, purpose: str, justification: str, wanted: Mapping[str, str]
    ) -> str:
        """Put a question. Returns its id."""
        body = {"purpose": purpose, "justification": justification, "filter": dict(wanted)}
        answer = await self._calls.post("audit", "/v1/queries", granted.scope, body)
        return str(answer["id"])

    async def answers(
        self, granted: Granted, query_id: str, cursor: str | None = None
    ) -> Mapping[str, Any]:
        """Read a page of what a question found."""
        params: dict[str, str | int] = {"cursor": cursor} if cursor else {}
        path = f"/v1/queries/{query_id}/entries"
        found: dict[str, Any] = await self._calls.get("audit", path, granted.scope, params)
        return found

    async def entry(self, granted: Granted, index: int) -> Mapping[str, Any]:
        """Read one entry with record, salt, leaf and proof."""
        found: dict[str, Any] = await self._calls.get(
            "audit", f"/v1/entries/{index}", granted.scope
        )
        return found
