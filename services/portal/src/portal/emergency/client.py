"""Emergency releases, as one signed-in person may make them at sharing."""

from collections.abc import Mapping
from typing import Any

from common.access import Granted
from portal.emergency.model import Unproven, UnprovenList
from portal.shell.ports import Calls


class SharingReleases:
    """Fulfils `portal.emergency.ports.Releases`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def unproven(self, granted: Granted, delivery_id: str = "") -> UnprovenList:
        """List what of the agency's own referrals has no proof yet."""
        params: dict[str, str | int] = {"deliveryId": delivery_id} if delivery_id else {}
        body = await self._calls.get("sharing", "/v1/disclosures/unproven", granted.scope, params)
        return UnprovenList(tuple(_unproven(raw) for raw in body["items"]), body["more"])

    async def after_send(
        self, granted: Granted, delivery_id: str, case_reference: str
    ) -> Unproven | None:
        """Tell where one disclosure stands once it has left. It is asked for by the case."""
        params: dict[str, str | int] = {"caseReference": case_reference}
        body = await self._calls.get("sharing", "/v1/disclosures", granted.scope, params)
        for raw in body["items"]:
            if raw["deliveryId"] == delivery_id and raw["releasedAt"]:
                return _left(raw, case_reference)
        return None

    async def clauses(self) -> Mapping[str, str]:
        """Return the clauses of all agreements by their codes."""
        body = await self._calls.get("sharing", "/v1/agreements", "directory.read")
        return {
            clause["id"]: clause["text"]
            for agreement in body["items"]
            for clause in agreement["clauses"]
        }

    async def release(self, granted: Granted, delivery_id: str, code: str, reason: str) -> None:
        """Let one go.

        Not repeated by itself: a second one is a conflict, and a person says what to do after no
        answer.
        """
        path = f"/v1/disclosures/{delivery_id}/emergency-release"
        body = {"code": code, "reason": reason}
        await self._calls.post_once("sharing", path, granted.scope, body)


def _unproven(raw: Mapping[str, Any]) -> Unproven:
    return Unproven(
        raw["deliveryId"],
        raw["caseReference"],
        raw["recipient"],
        raw["clause"],
        raw["kind"],
        promised=raw["standing"] == "promised",
        decided_at=raw["decidedAt"],
        released_at=raw["releasedAt"] or "",
        proof_due=raw["proofDue"] or "",
        urgent=raw["urgent"],
    )


def _left(raw: Mapping[str, Any], case_reference: str) -> Unproven:
    return Unproven(
        raw["deliveryId"],
        case_reference,
        raw["recipient"],
        raw["clause"],
        raw["kind"],
        promised=raw["standing"] == "promised",
        decided_at=raw["decidedAt"],
        released_at=raw["releasedAt"],
        proof_due="",
        proven=raw["standing"] == "proven",
    )
