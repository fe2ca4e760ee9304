"""The hub as one signed-in person may use it."""

from collections.abc import Mapping
from typing import Any, Final

import httpx2

from common.web.client import ServiceClient
from hubformats.clock import Clock
from hubformats.ids import opaque
from hubformats.keys import signing_from_jwk
from hubformats.statement import EnvelopeRefused
from hubpartner.delivery import envelope_of
from portal.clients.sign_in import CLIENT, Authorizer, PersonTokens
from portal.domain.delivery import Sealed, Waiting
from portal.domain.emergency import Unproven, UnprovenList
from portal.domain.visit import Session

_PAGE: Final = 100
_PAGES: Final = 20
"""A list longer than this is not read by a person; the oldest come first, so nothing that waits is
cut off unseen for long.
"""


class PersonsHub:
    """Fulfils `portal.ports.Hub`.

    Raises ProblemAnswer, CallFailed or TokenRefused (common.web.client).
    """

    def __init__(
        self,
        session: Session,
        authorizer: Authorizer,
        urls: Mapping[str, str],
        *,
        http: httpx2.AsyncClient,
        clock: Clock,
    ) -> None:
        tokens = PersonTokens(
            authorizer, session.grantings, signing_from_jwk(session.dpop_jwk, CLIENT), clock
        )
        self._services = {
            name: ServiceClient(url, tokens, http=http, clock=clock, timeout=10.0)
            for name, url in urls.items()
        }

    async def waiting(self) -> list[Waiting]:
        """Deliveries to the person's agency, oldest first."""
        found: list[Waiting] = []
        cursor: str | None = None
        for _ in range(_PAGES):
            params: dict[str, str | int] = {
                "limit": _PAGE,
                **({"cursor": cursor} if cursor else {}),
            }
            body = (
                await self._services["sharing"].call(
                    "GET", "/v1/inbox", scope="disclosure.read", params=params
                )
            ).json()
            found.extend(_waiting(raw) for raw in body["items"])
            if len(body["items"]) < _PAGE:
                break
            cursor = body["nextCursor"]
        return found

    async def delivery(self, delivery_id: str) -> Sealed:
        """One delivery. Raises EnvelopeRefused when the bytes are not what their digest says."""
        raw = (
            await self._services["sharing"].call(
                "GET", f"/v1/inbox/{delivery_id}", scope="disclosure.read"
            )
        ).json()
        try:
            return Sealed(_waiting(raw), envelope_of(raw))
        except ValueError:
            raise EnvelopeRefused("digest-mismatch") from None

    async def send_receipt(self, delivery_id: str, receipt: str) -> None:
        """Sign for a delivery a named practitioner accepted."""
        path = f"/v1/disclosures/{delivery_id}/receipt"
        await self._services["sharing"].call(
            "POST",
            path,
            scope="disclosure.acknowledge",
            json={"receipt": receipt},
            idempotency_key=opaque(),
        )

    async def acknowledge(self, delivery_id: str, role: str) -> None:
        """Say that a role has taken it up."""
        path = f"/v1/disclosures/{delivery_id}/acknowledgement"
        await self._services["sharing"].call(
            "POST",
            path,
            scope="disclosure.acknowledge",
            json={"role": role},
            idempotency_key=opaque(),
        )

    async def ask_log(self, purpose: str, justification: str, wanted: Mapping[str, Any]) -> str:
        """Put a question to the audit log; the question itself becomes an entry first.

        Answers its id.
        """
        body = {"purpose": purpose, "justification": justification, "filter": dict(wanted)}
        answer = await self._services["audit"].call(
            "POST", "/v1/queries", scope="audit.read", json=body, idempotency_key=opaque()
        )
        return str(answer.json()["id"])

    async def answers(self, query_id: str, cursor: str | None = None) -> dict[str, Any]:
        """A page of what a question found."""
        params: dict[str, str | int] = {"cursor": cursor} if cursor else {}
        found: dict[str, Any] = (
            await self._services["audit"].call(
                "GET", f"/v1/queries/{query_id}/entries", scope="audit.read", params=params
            )
        ).json()
        return found

    async def entry(self, index: int) -> dict[str, Any]:
        """One entry with record, salt, leaf and proof."""
        found: dict[str, Any] = (
            await self._services["audit"].call("GET", f"/v1/entries/{index}", scope="audit.read")
        ).json()
        return found

    async def unproven(self, delivery_id: str = "") -> UnprovenList:
        """What of the agency's own referrals has no proof yet."""
        path = (
            f"/v1/disclosures/unproven?deliveryId={delivery_id}"
            if delivery_id
            else "/v1/disclosures/unproven"
        )
        body = (await self._services["sharing"].call("GET", path, scope="sharing.request")).json()
        return UnprovenList(tuple(_unproven(raw) for raw in body["items"]), body["more"])

    async def left(self, delivery_id: str, case_reference: str) -> Unproven | None:
        """Asked by the case; sharing records the look."""
        params: dict[str, str | int] = {"caseReference": case_reference}
        body = (
            await self._services["sharing"].call(
                "GET", "/v1/disclosures", scope="sharing.request", params=params
            )
        ).json()
        raw = next(
            (
                one
                for one in body["items"]
                if one["deliveryId"] == delivery_id and one["releasedAt"]
            ),
            None,
        )
        if raw is None:
            return None
        return Unproven(
            raw["deliveryId"],
            case_reference,
            raw["recipient"],
            raw["clause"],
            raw["kind"],
            raw["standing"] == "promised",
            raw["decidedAt"],
            raw["releasedAt"],
            "",
            proven=raw["standing"] == "proven",
        )

    async def clauses(self) -> dict[str, str]:
        """Of all agreements."""
        body = (
            await self._services["sharing"].call("GET", "/v1/agreements", scope="directory.read")
        ).json()
        return {
            clause["id"]: clause["text"]
            for agreement in body["items"]
            for clause in agreement["clauses"]
        }

    async def release_in_emergency(self, delivery_id: str, code: str, reason: str) -> None:
        """Not repeated by itself: a second one is a conflict, and a person says what to do after no
        answer.
        """
        path = f"/v1/disclosures/{delivery_id}/emergency-release"
        await self._services["sharing"].call(
            "POST", path, scope="sharing.request", json={"code": code, "reason": reason}
        )

    async def me(self) -> dict[str, Any]:
        """Who is signed in, by name."""
        found: dict[str, Any] = (
            await self._services["identity"].call("GET", "/v1/me", scope="directory.read")
        ).json()
        return found


def _unproven(raw: Mapping[str, Any]) -> Unproven:
    return Unproven(
        raw["deliveryId"],
        raw["caseReference"],
        raw["recipient"],
        raw["clause"],
        raw["kind"],
        raw["standing"] == "promised",
        raw["decidedAt"],
        raw["releasedAt"] or "",
        raw["proofDue"] or "",
        raw["urgent"],
    )


def _waiting(raw: Mapping[str, Any]) -> Waiting:
    try:
        envelope = envelope_of(raw)
    except ValueError:  # listed all the same: one that is damaged must not hide the others
        envelope = None
    return Waiting(
        raw["deliveryId"],
        raw["kind"],
        raw["state"],
        raw["deliveredAt"],
        envelope,
        saved_at=raw.get("savedAt") or "",
    )
