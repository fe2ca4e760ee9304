"""What an operator asks: hold a service, replay what was set aside, suspend an agency."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hubformats.ids import opaque
from hubpartner.answers import CallFailed
from hubpartner.calls import Call, Service

ServiceName = Literal["referral", "sharing", "audit", "identity", "portal"]


class OperatorCalls:
    """Calls with the scope `agency.manage`, and what the directory says of an agency.

    Every method raises ProblemAnswer, CallFailed or TokenRefused (hubpartner.answers).
    """

    def __init__(self, services: Mapping[ServiceName, Service]) -> None:
        """`services` are called as one profile."""
        self._services = services

    async def switch(self, service: ServiceName, turn: Literal["pause", "resume"]) -> None:
        """Hold a service's work, or let it go on (operator)."""
        await self._services[service].send(
            Call("POST", f"/v1/operator/{turn}", scope="agency.manage", json={})
        )

    async def readiness(self, service: ServiceName) -> Mapping[str, bool] | None:
        """Say which checks of a service pass; None if it does not answer.

        Raises nothing.
        """
        try:
            checks: Mapping[str, bool] = (await self._services[service].readiness())["checks"]
        except (CallFailed, KeyError):
            return None
        return checks

    async def quarantine(
        self, service: ServiceName, *, topic: str | None = None, reason: str | None = None
    ) -> list[dict[str, Any]]:
        """List what a service set aside from the bus and nobody replayed, oldest first.

        For an operator.
        """
        found: list[dict[str, Any]] = []
        params = {name: value for name, value in (("topic", topic), ("reason", reason)) if value}
        while True:
            page = await self._services[service].send(
                Call(
                    "GET",
                    "/v1/operator/quarantine",
                    scope="agency.manage",
                    params={**params, "limit": 100},
                )
            )
            found += page["items"]
            if not page.get("nextCursor"):
                return found
            params["cursor"] = page["nextCursor"]

    async def replay(
        self,
        service: ServiceName,
        *,
        topic: str | None = None,
        reason: str | None = None,
        digests: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Try again what a service set aside.

        For an operator. Returns how many were applied, known, still aside, absent.
        """
        body = {"topic": topic, "reason": reason, "digests": list(digests)}
        return await self._services[service].send(
            Call("POST", "/v1/operator/quarantine/replay", scope="agency.manage", json=body)
        )

    async def discard(
        self,
        service: ServiceName,
        topic: str,
        *,
        why: str,
        reason: str | None = None,
        digests: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Let go of what can never be applied.

        For an operator: these digests of a topic, or all there that nobody vouches for. Returns how
        many.
        """
        body = {"topic": topic, "why": why, "reason": reason, "digests": list(digests)}
        return await self._services[service].send(
            Call("POST", "/v1/operator/quarantine/discard", scope="agency.manage", json=body)
        )

    async def decide_again(
        self,
        *,
        deliveries: Sequence[str] = (),
        reason: str | None = None,
        agency: str | None = None,
        case_reference: str | None = None,
    ) -> dict[str, Any]:
        """Have what is blocked decided on again, named in exactly one way.

        For an operator. Returns how many cases, and how many deliveries were prepared anew.
        """
        body = {
            "deliveryIds": list(deliveries),
            "reason": reason,
            "agency": agency,
            "caseReference": case_reference,
        }
        return await self._services["sharing"].send(
            Call("POST", "/v1/disclosures/decide-again", scope="agency.manage", json=body)
        )

    async def stuck(self) -> dict[str, Any]:
        """List what has not left, by reason (operator)."""
        return await self._services["sharing"].send(
            Call("GET", "/v1/disclosures/stuck", scope="agency.manage")
        )

    async def key_uses(self, agency: str | None = None) -> list[dict[str, Any]]:
        """List what compromised keys had signed that was used, of one agency's keys or all.

        For an operator.
        """
        params: dict[str, str | int] = {"limit": 100, **({"agency": agency} if agency else {})}
        found: list[dict[str, Any]] = []
        while True:
            page = await self._services["sharing"].send(
                Call("GET", "/v1/compromised-key-uses", scope="agency.manage", params=params)
            )
            found += page["items"]
            if not page.get("nextCursor"):
                return found
            params["cursor"] = page["nextCursor"]

    async def agency(self, agency: str) -> dict[str, Any]:
        """Read what the directory says of an agency: name, kind, whether it is suspended."""
        return await self._services["identity"].send(
            Call("GET", f"/v1/agencies/{agency}", scope="directory.read")
        )

    async def suspend(
        self, agency: str, reason_code: str, *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Suspend an agency (operator): from now on nothing of it counts, token or not."""
        path = f"/v1/agencies/{agency}/suspension"
        return await self._services["identity"].send(
            Call(
                "POST",
                path,
                scope="agency.manage",
                json={"reasonCode": reason_code},
                idempotency_key=idempotency_key or opaque(),
            )
        )

    async def restore(self, agency: str, reason_code: str = "resolved") -> None:
        """Let an agency act again (operator)."""
        path, why = f"/v1/agencies/{agency}/suspension", {"reasonCode": reason_code}
        await self._services["identity"].send(
            Call("DELETE", path, scope="agency.manage", params=why)
        )
