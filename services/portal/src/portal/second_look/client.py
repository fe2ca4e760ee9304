"""The second-look queue at sharing, as one signed-in person may use it."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.access import Granted
from portal.second_look.model import Look, Reasons
from portal.shell.ports import Calls

_QUEUE = "/v1/second-looks"


class SharingLooks:
    """Fulfils `portal.second_look.ports.Looks`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def listed(self, granted: Granted, *, closed: bool) -> Sequence[Look]:
        """List them."""
        params: dict[str, str | int] = {"closed": "true"} if closed else {}
        body = await self._calls.get("sharing", _QUEUE, granted.scope, params)
        return tuple(_look(raw) for raw in body["items"])

    async def one(self, granted: Granted, look_id: str) -> Look:
        """Read one."""
        return _look(await self._calls.get("sharing", f"{_QUEUE}/{look_id}", granted.scope))

    async def reasons(self, granted: Granted) -> Reasons:
        """Return them by outcome."""
        body = await self._calls.get("sharing", "/v1/second-look-reasons", granted.scope)
        return {
            outcome: {each["code"]: each["meaning"] for each in codes}
            for outcome, codes in body["reasons"].items()
        }

    async def take(self, granted: Granted, look_id: str) -> None:
        """Take it."""
        await self._calls.post_once("sharing", f"{_QUEUE}/{look_id}/owner", granted.scope, {})

    async def answer(
        self, granted: Granted, look_id: str, outcome: str, code: str, reason: str
    ) -> None:
        """Answer it. Not repeated by itself: a second one is a conflict."""
        body = {"outcome": outcome, "reasonCode": code, "reason": reason}
        await self._calls.post_once("sharing", f"{_QUEUE}/{look_id}/outcome", granted.scope, body)


def _look(raw: Mapping[str, Any]) -> Look:
    return Look(
        look_id=raw["lookId"],
        act=raw["act"],
        reason_code=raw["reasonCode"],
        case_reference=raw["caseReference"],
        parties=tuple((each["agency"], each["role"]) for each in raw["parties"]),
        filed_at=raw["filedAt"],
        due_at=raw["dueAt"],
        overdue=raw["overdue"],
        state=raw["state"],
        owner=raw["owner"],
        outcome_code=raw["outcomeCode"] or "",
        next=tuple(raw["next"]),
    )
