"""A typed client of the hub for one partner. Tokens, proofs, retries and problems are handled.
Answers come back as plain values."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from hubformats.agency_events import CompromisedKeyUsed, EnvelopeSetAside
from hubformats.clock import SystemClock
from hubformats.ids import opaque
from hubformats.keys import StaticKeys
from hubpartner.answers import CallFailed
from hubpartner.calls import Call, Service
from hubpartner.delivery import (
    Delivery,
    envelope_of,
    open_delivery,
    open_notice,
    saved_receipt,
)
from hubpartner.operating import OperatorCalls, ServiceName
from hubpartner.profile import Profile
from hubpartner.tokens import TokenSource

_WAIT_SLACK: Final = 10.0


@dataclass(frozen=True, slots=True)
class InboxItem:
    """One delivery as listed: ids and state, and the exact envelope bytes."""

    delivery_id: str
    kind: str
    state: str
    delivered_at: str
    digest: str
    envelope: bytes
    answered_at: str = ""
    """When its agency answered a correction or a withdrawal; empty until then."""


@dataclass(frozen=True, slots=True)
class InboxPage:
    """Items, oldest first, and the cursor for the next poll."""

    items: tuple[InboxItem, ...]
    cursor: str


class HubClient(OperatorCalls):
    """Calls the hub as the profile's agency.

    Every method raises ProblemAnswer, CallFailed or TokenRefused (hubpartner.answers).
    """

    def __init__(self, profile: Profile, http: httpx2.AsyncClient) -> None:
        self.profile = profile
        tokens = TokenSource(profile, http, SystemClock())
        urls: dict[ServiceName, str] = {
            "referral": profile.referral_url,
            "sharing": profile.sharing_url,
            "audit": profile.audit_url,
            "identity": profile.identity_url,
            "portal": profile.portal_url,
        }
        super().__init__({name: Service(url, tokens, http) for name, url in urls.items()})

    def service(self, name: ServiceName) -> Service:
        """Return one service, for a call that has no method here."""
        return self._services[name]

    async def submit_referral(
        self, form: Mapping[str, Any], *, dry_run: bool = False, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Send a referral.

        The same key repeats safely; without one a new key is made for this call.
        """
        return await self._services["referral"].send(
            Call(
                "POST",
                "/v1/referrals",
                scope="referral.write",
                json=form,
                params={"dryRun": "true"} if dry_run else {},
                idempotency_key=idempotency_key or opaque(),
            )
        )

    async def read_referral(self, referral_id: str) -> dict[str, Any]:
        """Read a referral of the own agency with what became of it."""
        return await self._services["referral"].send(
            Call("GET", f"/v1/referrals/{referral_id}", scope="referral.read")
        )

    async def sent_referrals(
        self, *, external_reference: str | None = None, changed_since: str | None = None
    ) -> list[dict[str, Any]]:
        """List referrals of the own agency, oldest change first: all of them, page by page.

        `external_reference` finds those sent under it; `changed_since` is RFC 3339 text.
        """
        asked = {"externalReference": external_reference, "changedSince": changed_since}
        params = {name: value for name, value in asked.items() if value is not None}
        found: list[dict[str, Any]] = []
        while True:
            answer = await self._services["referral"].send(
                Call("GET", "/v1/referrals", scope="referral.read", params=params)
            )
            found.extend(answer["items"])
            if answer.get("nextCursor") is None:
                return found
            params = {**params, "cursor": answer["nextCursor"]}

    async def code_lists(self) -> dict[str, Any]:
        """Read codes, instruments and rules in force."""
        return await self._services["referral"].send(
            Call("GET", "/v1/code-lists", scope="referral.read")
        )

    async def forbid_disclosure(
        self,
        referral_id: str,
        *,
        agency: str,
        category: str,
        reason: str,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Set must-not-disclose on a referral's case."""
        body = {"agency": agency, "category": category, "reason": reason}
        path = f"/v1/referrals/{referral_id}/must-not-disclose"
        return await self._services["referral"].send(
            Call(
                "POST",
                path,
                scope="referral.write",
                json=body,
                idempotency_key=idempotency_key or opaque(),
            )
        )

    async def refused_intakes(self) -> list[dict[str, Any]]:
        """List all referrals of the own agency that were refused and stand so, oldest first."""
        found: list[dict[str, Any]] = []
        params: dict[str, str] = {}
        while True:
            answer = await self._services["referral"].send(
                Call("GET", "/v1/refused-intakes", scope="referral.read", params=params)
            )
            found.extend(answer["refused"])
            if answer.get("nextCursor") is None:
                return found
            params = {"cursor": answer["nextCursor"]}

    async def acknowledge_refused(self, refused_id: str, reason: str) -> dict[str, Any]:
        """Say what became of a refused referral that no accepted one corrects.

        `reason` is `sent-again`, `told-otherwise` or `not-needed`.
        """
        path = f"/v1/refused-intakes/{refused_id}/acknowledgement"
        return await self._services["referral"].send(
            Call("POST", path, scope="referral.write", json={"reason": reason})
        )

    async def inbox(
        self,
        *,
        cursor: str | None = None,
        limit: int = 50,
        wait: int = 0,
        withdrawals: bool = False,
    ) -> InboxPage:
        """Read deliveries after `cursor`; with `wait` seconds the call holds until something comes.

        `withdrawals` alone are given also while it cannot be checked what else may be shown. Their
        cursor is none of the whole inbox.
        """
        params: dict[str, str | int] = {"limit": limit}
        if cursor:
            params["cursor"] = cursor
        if wait:
            params["wait"] = wait
        if withdrawals:
            params["kind"] = "withdrawal"
        body = await self._services["sharing"].send(
            Call(
                "GET",
                "/v1/inbox",
                scope="disclosure.read",
                params=params,
                try_seconds=wait + _WAIT_SLACK,
            )
        )
        return InboxPage(tuple(_item(raw) for raw in body["items"]), body["nextCursor"])

    async def inbox_pages(
        self,
        *,
        cursor: str | None = None,
        limit: int = 100,
        wait: int = 0,
        withdrawals: bool = False,
    ) -> AsyncIterator[InboxPage]:
        """Read all deliveries after `cursor`, page by page, oldest first.

        Waits up to `wait` seconds for the first of them. The last page may be empty; its cursor is
        the place to go on from next time. `withdrawals` as in `inbox()`.
        """
        while True:
            page = await self.inbox(cursor=cursor, limit=limit, wait=wait, withdrawals=withdrawals)
            yield page
            if len(page.items) < limit:
                return
            cursor, wait = page.cursor, 0

    async def delivery(self, delivery_id: str) -> InboxItem:
        """Read one delivery of the own inbox."""
        return _item(
            await self._services["sharing"].send(
                Call("GET", f"/v1/inbox/{delivery_id}", scope="disclosure.read")
            )
        )

    async def standing(self, delivery_id: str) -> dict[str, Any]:
        """Tell whether one delivery of the own inbox still stands; no look at it is recorded."""
        path = f"/v1/inbox/{delivery_id}/standing"
        return await self._services["sharing"].send(Call("GET", path, scope="disclosure.read"))

    async def acknowledge(
        self, delivery_id: str, role: str, *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Say that a role has taken the delivery up."""
        path = f"/v1/disclosures/{delivery_id}/acknowledgement"
        return await self._services["sharing"].send(
            Call(
                "POST",
                path,
                scope="disclosure.acknowledge",
                json={"role": role},
                idempotency_key=idempotency_key or opaque(),
            )
        )

    async def answer(
        self,
        delivery_id: str,
        answer: str,
        duty: str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> dict[str, Any]:
        """Say what was done with what was corrected or taken back."""
        return await self._services["sharing"].send(
            Call(
                "POST",
                f"/v1/disclosures/{delivery_id}/answer",
                scope="disclosure.acknowledge",
                json={"answer": answer, "duty": duty},
                idempotency_key=idempotency_key or opaque(),
            )
        )

    async def send_receipt(self, delivery: Delivery, system: str) -> dict[str, Any]:
        """Sign for a delivery that `system` now holds durably.

        Call it only after your own commit.
        """
        receipt = saved_receipt(delivery, signer=self.profile.signing, system=system)
        path = f"/v1/disclosures/{delivery.delivery_id}/receipt"
        return await self._services["sharing"].send(
            Call(
                "POST",
                path,
                scope="disclosure.acknowledge",
                json={"receipt": receipt},
                idempotency_key=opaque(),
            )
        )

    async def notices(self) -> list[dict[str, Any]]:
        """List what the own agency is told of what it signed, oldest first: all of it."""
        found: list[dict[str, Any]] = []
        params: dict[str, str | int] = {"limit": 100}
        while True:
            page = await self._services["sharing"].send(
                Call("GET", "/v1/notices", scope="disclosure.read", params=params)
            )
            found += page["items"]
            if page.get("nextCursor") is None:
                return found
            params = {**params, "cursor": page["nextCursor"]}

    async def delayed(self) -> dict[str, Any]:
        """Count deliveries that wait for the audit log: to the own agency, and of its referrals."""
        return await self._services["sharing"].send(
            Call("GET", "/v1/disclosures/delayed", scope="disclosure.read")
        )

    def open(self, item: InboxItem) -> Delivery:
        """Open and check a delivery offline, with the profile's keys and the pinned hub key."""
        return open_with(self.profile, item.envelope)

    def open_notice(self, envelope: bytes) -> EnvelopeSetAside | CompromisedKeyUsed:
        """Open a notice from the own topic. Raises EnvelopeRefused, PackageRefused."""
        keys = StaticKeys(self.profile.hub)
        return open_notice(
            envelope, me=self.profile.agency, opening=self.profile.opening, keys=keys
        )


def open_with(profile: Profile, envelope: bytes) -> Delivery:
    """Open an envelope sealed to the profile's agency and check all it claims.

    Raises EnvelopeRefused or PackageRefused.
    """
    return open_delivery(
        envelope,
        me=profile.agency,
        opening=profile.opening,
        keys=StaticKeys(profile.hub),
        log=profile.log,
    )


@asynccontextmanager
async def hub(profile: Profile) -> AsyncIterator[HubClient]:
    """Open a client with its own connections, closed at the end."""
    async with httpx2.AsyncClient(timeout=20.0, follow_redirects=False) as http:
        yield HubClient(profile, http)


def _item(raw: Mapping[str, Any]) -> InboxItem:
    try:
        return InboxItem(
            raw["deliveryId"],
            raw["kind"],
            raw["state"],
            raw["deliveredAt"],
            raw["digest"],
            envelope_of(raw),
            raw.get("answeredAt") or "",
        )
    except (KeyError, ValueError):
        raise CallFailed("an item that is cut or changed") from None
