"""Moving single referrals along a running hub, and looking at where they stand."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx2

from common.web.client import ServiceClient, TokenSource
from hubformats.clock import SystemClock
from hubformats.ids import opaque
from hubpartner.client import HubClient
from hubpartner.delivery import Delivery
from hubpartner.operating import ServiceName
from hubpartner.profile import read_profile
from tests.support.hubs import ROOT, RunningHub, as_agency, wait_for, whole_inbox

FULL: Final[dict[str, Any]] = json.loads((ROOT / "examples/referral-full.json").read_text("utf-8"))
IDVA, CARE, SUPPORT = "northmoor-idva", "northmoor-social-care", "northmoor-victim-support"
TOLD: Final = (IDVA, CARE, SUPPORT)
POLICE: Final = "northmoor-police"


async def submitted(hub: RunningHub) -> dict[str, Any]:
    """A new referral of the full form."""
    form = {**FULL, "externalReference": f"NP-2026-{opaque()[:10]}"}
    return await as_agency(hub, POLICE, lambda client: client.submit_referral(form))


async def outcomes(hub: RunningHub, referral: Mapping[str, Any]) -> dict[str, str]:
    """What the referrer hears: recipient → state."""
    read = await as_agency(hub, POLICE, lambda client: client.read_referral(referral["referralId"]))
    return {outcome["recipient"]: outcome["state"] for outcome in read["outcomes"]}


async def until_outcomes(
    hub: RunningHub, referral: Mapping[str, Any], right: Callable[[dict[str, str]], bool]
) -> dict[str, str]:
    """Wait until the referrer hears what satisfies `right`."""
    return await wait_for(lambda: outcomes(hub, referral), right)


async def switch(hub: RunningHub, service: ServiceName, *, on: bool) -> None:
    """The operator holds a service, or lets it go on."""
    await as_agency(
        hub, "operator", lambda client: client.switch(service, "resume" if on else "pause")
    )


async def decided_and_waiting(hub: RunningHub) -> dict[str, Any]:
    """A referral that sharing has decided on while audit is paused: its disclosures wait for their
    receipts. Audit stays paused.
    """
    await switch(hub, "audit", on=False)
    referral = await submitted(hub)
    await until_outcomes(hub, referral, lambda found: found == dict.fromkeys(TOLD, "decided"))
    return referral


def client_of(hub: RunningHub, name: str, service: str, http: httpx2.AsyncClient) -> ServiceClient:
    """A plain client of one service under a profile's keys."""
    profile, clock = read_profile(hub.profiles / f"{name}.toml"), SystemClock()
    tokens = TokenSource(
        profile.issuer,
        profile.client_id,
        signing=profile.signing,
        dpop_key=profile.dpop,
        http=http,
        clock=clock,
    )
    return ServiceClient(hub.url(service), tokens, http=http, clock=clock, timeout=20.0)


async def called(
    hub: RunningHub, name: str, service: str, method: str, path: str, **more: Any
) -> dict[str, Any]:
    """One call of a service by a profile's system. Raises ProblemAnswer."""
    async with httpx2.AsyncClient(timeout=20.0) as http:
        answer = await client_of(hub, name, service, http).call(method, path, **more)
    body: dict[str, Any] = answer.json()
    return body


async def standing(hub: RunningHub, referral: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Where each disclosure of the case stands at sharing: recipient → (state, reason), newest
    last.
    """
    found = await called(
        hub,
        POLICE,
        "sharing",
        "GET",
        "/v1/disclosures",
        scope="sharing.request",
        params={"caseReference": referral["caseReference"]},
    )
    return {item["recipient"]: (item["state"], item["reason"]) for item in found["items"]}


async def delivery_ids(hub: RunningHub, referral: Mapping[str, Any]) -> dict[str, str]:
    """Recipient → delivery id."""
    found = await called(
        hub,
        POLICE,
        "sharing",
        "GET",
        "/v1/disclosures",
        scope="sharing.request",
        params={"caseReference": referral["caseReference"]},
    )
    return {item["recipient"]: item["deliveryId"] for item in found["items"]}


async def received(hub: RunningHub, agency: str) -> list[Delivery]:
    """All an agency ever got, opened and checked by its own means."""

    async def opened(client: HubClient) -> list[Delivery]:
        return [client.open(item) for item in await whole_inbox(client)]

    return await as_agency(hub, agency, opened)


async def counts(hub: RunningHub) -> Counter[str]:
    """How many envelopes each of the three has."""
    return Counter({agency: len(await as_agency(hub, agency, whole_inbox)) for agency in TOLD})


async def entries(hub: RunningHub, referral: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What an auditor finds in the log under the referrer's case reference, newest first."""
    question = {
        "purpose": "verify_lawfulness",
        "justification": "A journey's check",
        "filter": {"caseReference": referral["caseReference"]},
    }
    asked = await called(
        hub,
        "auditor",
        "audit",
        "POST",
        "/v1/queries",
        scope="audit.read",
        json=question,
        idempotency_key=opaque(),
    )
    # Every look into an inbox that showed the case is found too, and a journey looks often.
    items: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 100}
    while True:
        found = await called(
            hub,
            "auditor",
            "audit",
            "GET",
            f"/v1/queries/{asked['id']}/entries",
            scope="audit.read",
            params=params,
        )
        items += found["items"]
        if not found.get("nextCursor"):
            return items
        params["cursor"] = found["nextCursor"]


async def until_entries(
    hub: RunningHub, referral: Mapping[str, Any], right: Callable[[list[dict[str, Any]]], bool]
) -> list[dict[str, Any]]:
    """Wait until the log holds what satisfies `right`."""
    return await wait_for(lambda: entries(hub, referral), right)
