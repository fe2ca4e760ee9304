"""Sharing, audit and identity over HTTP, as far as the portal calls them, on the memory of fakes."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import httpx2

from common.access import Granted
from common.testing import ManualClock
from hubformats.canonical import b64u
from hubformats.clock import Clock
from hubformats.envelope import digest
from hubformats.keys import SigningKey, generate_signing
from portal.depends import guard
from portal.emergency.model import Unproven
from portal.shell.client import PersonCalls
from portal.shell.model import CallRefused
from portal.sign_in.client import Authorizer
from portal.work.model.delivery import Waiting
from tests.support.portal_fakes import (
    ISSUER,
    MemoryAuditLog,
    MemoryDeliveries,
    MemoryPeople,
    MemoryReleases,
)
from tests.support.portal_harness import signed_in

URLS: Final = {
    name: f"http://{name}.example.org" for name in ("sharing", "audit", "identity", "referral")
}
_ROLES: Final = {"search_log": ("auditor",), "read_deliveries": ("idva",)}


def granted(action: str, agency: str = "northmoor-idva") -> Granted:
    """What somebody of that agency who may do this was granted."""
    clock = ManualClock()
    session = signed_in(
        clock,
        agency=agency,
        roles=_ROLES.get(action, ("idva", "idva_manager")),
        scope="disclosure.read disclosure.acknowledge audit.read sharing.request",
    )
    return guard.permit(action, session.principal, at=clock.now())


@dataclass
class StillTokens:
    """Fulfils `common.web.client.Tokens`: a token says what it is for."""

    dpop_key: SigningKey = field(default_factory=lambda: generate_signing("portal"))

    async def token(self, audience: str, scope: str) -> str:
        return f"{audience}|{scope}"

    def forget(self, audience: str, scope: str) -> None:
        return


Route = tuple[str, str, str, Callable[..., Awaitable[Any]]]
"""Method, path, the scope that is asked for, and what answers."""


@dataclass
class HttpServices:
    """Answers the portal's calls by a table; `keys` collects idempotency keys.

    A scope that a route does not ask for is refused.
    """

    keys: list[str] = field(default_factory=list, kw_only=True)

    def calls(self) -> PersonCalls:
        """The portal's own calls to these services."""
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        return PersonCalls(URLS, StillTokens(), http=http, clock=ManualClock())

    def _routes(self) -> list[Route]:
        """The table of one service; without one everything is unknown."""
        return []

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        audience, scope = request.headers["authorization"].removeprefix("DPoP ").split("|")
        assert str(request.url).startswith(audience), "a token is for the service it is sent to"
        self.keys.append(request.headers.get("idempotency-key", ""))
        for method, path, needed, work in self._routes():
            found = re.fullmatch(path, request.url.path)
            if found and request.method == method:
                if scope != needed:
                    return httpx2.Response(403, json={"code": "insufficient-scope"})
                try:
                    return httpx2.Response(200, json=await work(request, *found.groups()))
                except CallRefused as refused:
                    return httpx2.Response(refused.status, json={"code": refused.code})
        return httpx2.Response(404, json={"code": "not-found"})


@dataclass
class Services(HttpServices):
    """Answers the portal's calls from what the fakes hold."""

    deliveries: MemoryDeliveries = field(default_factory=lambda: MemoryDeliveries([]))
    releases: MemoryReleases = field(default_factory=MemoryReleases)
    log: MemoryAuditLog = field(default_factory=MemoryAuditLog)
    people: MemoryPeople | None = None

    def _routes(self) -> list[Route]:
        read, acknowledge = "disclosure.read", "disclosure.acknowledge"
        one = "/v1/disclosures/([^/]+)"
        return [
            ("GET", "/v1/inbox", read, self._inbox),
            ("GET", "/v1/inbox/([^/]+)", read, self._delivery),
            ("GET", "/v1/inbox/([^/]+)/standing", read, self._standing),
            ("POST", f"{one}/receipt", acknowledge, self._receipt),
            ("POST", f"{one}/acknowledgement", acknowledge, self._acknowledgement),
            ("POST", f"{one}/answer", acknowledge, self._said),
            ("GET", "/v1/disclosures/delayed", read, self._delayed),
            ("GET", "/v1/disclosures/unproven", "sharing.request", self._unproven),
            ("GET", "/v1/disclosures", "sharing.request", self._disclosures),
            ("POST", f"{one}/emergency-release", "sharing.request", self._release),
            ("GET", "/v1/agreements", "directory.read", self._agreements),
            ("GET", "/v1/me", "directory.read", self._me),
            ("POST", "/v1/queries", "audit.read", self._query),
            ("GET", "/v1/queries/([^/]+)/entries", "audit.read", self._answers),
            ("GET", "/v1/entries/([0-9]+)", "audit.read", self._entry),
        ]

    async def _inbox(self, request: httpx2.Request) -> dict[str, Any]:
        asked = request.url.params
        start, limit = int(asked.get("cursor", "0")), int(asked["limit"])
        alone = {"withdrawal": True}.get(asked.get("kind", ""), False)
        may = granted("read_deliveries")
        listed = list(await self.deliveries.waiting(may, withdrawals=alone))
        page = listed[start : start + limit]
        return {"items": [_item(one) for one in page], "nextCursor": str(start + len(page))}

    async def _delayed(self, _: httpx2.Request) -> dict[str, Any]:
        found = await self.deliveries.delays(granted("read_deliveries"))
        return {
            side: {"urgent": one.urgent, "others": one.others, "since": one.since or None}
            for side, one in (("received", found.received), ("sent", found.sent))
        }

    async def _delivery(self, _: httpx2.Request, delivery_id: str) -> dict[str, Any]:
        listed = await self.deliveries.waiting(granted("read_deliveries"))
        found = [one for one in listed if one.delivery_id == delivery_id]
        if not found:
            raise CallRefused(404, "not-found")
        return _item(found[-1])

    async def _standing(self, _: httpx2.Request, delivery_id: str) -> dict[str, Any]:
        found = await self.deliveries.standing(granted("read_deliveries"), delivery_id)
        return {
            "stands": found.stands,
            "takenBackAt": found.taken_back_at,
            "replaced": found.replaced,
            "saidBy": found.said_by,
        }

    async def _receipt(self, request: httpx2.Request, delivery_id: str) -> dict[str, Any]:
        receipt = json.loads(request.content)["receipt"]
        await self.deliveries.send_receipt(granted("accept_delivery"), delivery_id, receipt)
        return {}

    async def _acknowledgement(self, request: httpx2.Request, delivery_id: str) -> dict[str, Any]:
        role = json.loads(request.content)["role"]
        await self.deliveries.acknowledge(granted("accept_delivery"), delivery_id, role)
        return {}

    async def _said(self, request: httpx2.Request, delivery_id: str) -> dict[str, Any]:
        said = json.loads(request.content)
        may, duty = granted("accept_delivery"), said["duty"] or ""
        await self.deliveries.answer(may, delivery_id, said["answer"], duty)
        return {}

    async def _unproven(self, request: httpx2.Request) -> dict[str, Any]:
        wanted = request.url.params.get("deliveryId", "")
        found = await self.releases.unproven(granted("read_unproven"), wanted)
        return {"items": [_disclosure(one) for one in found.items], "more": found.more}

    async def _disclosures(self, request: httpx2.Request) -> dict[str, Any]:
        case = request.url.params["caseReference"]
        return {
            "items": [_disclosure(one) for one in self.releases.sent if one.case_reference == case]
        }

    async def _release(self, request: httpx2.Request, delivery_id: str) -> dict[str, Any]:
        body = json.loads(request.content)
        may = granted("release_in_emergency")
        await self.releases.release(may, delivery_id, body["code"], body["reason"])
        return {}

    async def _agreements(self, _: httpx2.Request) -> dict[str, Any]:
        texts = await self.releases.clauses()
        clauses = [{"id": code, "text": text} for code, text in texts.items()]
        return {"items": [{"clauses": clauses}]}

    async def _me(self, _: httpx2.Request) -> dict[str, Any]:
        assert self.people is not None
        me = await self.people.me()
        return {"id": me.id, "name": me.name, "agency": me.agency, "roles": list(me.roles)}

    async def _query(self, request: httpx2.Request) -> dict[str, Any]:
        body = json.loads(request.content)
        asked = (body["purpose"], body["justification"], body["filter"])
        return {"id": await self.log.ask(granted("search_log"), *asked)}

    async def _answers(self, request: httpx2.Request, query_id: str) -> Any:
        cursor = request.url.params.get("cursor")
        return await self.log.answers(granted("search_log"), query_id, cursor)

    async def _entry(self, _: httpx2.Request, index: str) -> Any:
        return await self.log.entry(granted("search_log"), int(index))


def _item(one: Waiting) -> dict[str, Any]:
    raw = b"damaged" if one.envelope is None else one.envelope
    return {
        "deliveryId": one.delivery_id,
        "kind": one.kind,
        "state": one.state,
        "deliveredAt": one.delivered_at,
        "savedAt": one.saved_at or None,
        "answer": one.answer or "",
        "duty": one.duty or "",
        "envelopeBytes": b64u(raw),
        "digest": digest(b"what was sent" if one.envelope is None else raw),
    }


def _disclosure(one: Unproven) -> dict[str, Any]:
    standing = "proven" if one.proven else "promised" if one.promised else "waiting"
    return {
        "deliveryId": one.delivery_id,
        "caseReference": one.case_reference,
        "recipient": one.recipient,
        "clause": one.clause,
        "kind": one.kind,
        "standing": standing,
        "decidedAt": one.decided_at,
        "releasedAt": one.released_at or None,
        "proofDue": one.proof_due or None,
        "urgent": one.urgent,
    }


@dataclass
class OAuthServer:
    """Identity's OAuth endpoints as far as the portal's client needs them.

    `against` is the error word it answers with, `unreachable` for no answer at all.
    """

    against: str = ""
    pushed: list[dict[str, str]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)

    def authorizer(self, clock: Clock) -> Authorizer:
        """The portal's own client of this server."""
        return Authorizer(
            ISSUER,
            "http://portal.example.org/sign-in/callback",
            URLS["identity"],
            signing=generate_signing("svc:portal"),
            http=httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer)),
            clock=clock,
        )

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        assert request.headers["dpop"]
        form = dict(parse_qsl(request.content.decode()))
        assert form["client_assertion"]
        if self.against == "unreachable":
            raise httpx2.ConnectError("nobody")
        if self.against:
            return httpx2.Response(400, json={"error": self.against})
        if request.url.path == "/par":
            self.pushed.append(form)
            return httpx2.Response(201, json={"request_uri": "urn:1", "expires_in": 60})
        if request.url.path == "/revoke":
            self.revoked.append(form["token"])
            return httpx2.Response(200)
        claims = b64u(json.dumps({"acr": "demo", "auth_time": 1_795_000_000}).encode())
        token = {"access_token": f"h.{claims}.s", "refresh_token": "fresh"}
        return httpx2.Response(200, json={**token, "scope": "disclosure.read", "expires_in": 60})
