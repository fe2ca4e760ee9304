"""Partners who go on sending while a hub is being killed, each with a list of what was acknowledged
to it."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from hubformats.ids import opaque
from hubpartner.answers import CallFailed, ProblemAnswer, TokenRefused
from hubpartner.client import HubClient
from hubpartner.profile import read_profile
from tests.support.hubs import ROOT, RunningHub

POLICE: Final = "northmoor-police"
_AT_ONCE: Final = 16
_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})

_FULL: Final[dict[str, Any]] = json.loads((ROOT / "examples/referral-full.json").read_text("utf-8"))
_URGENT: Final[dict[str, Any]] = json.loads(
    (ROOT / "examples/referral-urgent.json").read_text("utf-8")
)
_CHILDLESS: Final = {
    **_FULL,
    "people": [person for person in _FULL["people"] if person["role"] != "child"],
    "consent": {**_FULL["consent"], "agreesToSupport": "no"},
    "incident": {**_FULL["incident"], "childrenPresent": "no"},
}
_ACCOUNT: Final = "Waited by her car, blocked the door and said nobody would find her. " * 117
_LONG: Final = {**_FULL, "incident": {**_FULL["incident"], "summary": _ACCOUNT}}
"""More than sharing decides on as it comes: it waits in the database for its sender's turn."""

FORMS: Final[Mapping[str, dict[str, Any]]] = {
    "full": _FULL,
    "long": _LONG,
    "urgent": _URGENT,
    "childless": _CHILDLESS,
}
TOLD: Final[Mapping[str, frozenset[str]]] = {
    "full": frozenset({"northmoor-idva", "northmoor-social-care", "northmoor-victim-support"}),
    "long": frozenset({"northmoor-idva", "northmoor-social-care", "northmoor-victim-support"}),
    "urgent": frozenset({"northmoor-idva"}),
    "childless": frozenset({"northmoor-idva"}),
}
"""Who is to be told of each form under the example agreement, written down here and not asked of
the hub.
"""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """One referral the hub said it has."""

    form: str
    external_reference: str
    referral_id: str
    case_reference: str


@dataclass(slots=True)
class Senders:
    """The police system, sending at `rate` a second; each referral again and again under its one
    key until the hub says it has it.
    """

    hub: RunningHub
    rng: random.Random
    rate: float = 2.5
    acknowledged: list[Acknowledged] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    sent: int = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Send until `stop`, then finish what was begun."""
        async with httpx2.AsyncClient(timeout=10.0) as http:
            client = HubClient(read_profile(self.hub.profiles / f"{POLICE}.toml"), http)
            under_way: set[asyncio.Task[None]] = set()
            while not stop.is_set():
                if len(under_way) < _AT_ONCE:
                    self.sent += 1
                    task = asyncio.create_task(
                        self._one(
                            client,
                            self.sent,
                            self.rng.choice(tuple(FORMS)),
                            self.rng.random() < 0.2,
                        )
                    )
                    under_way.add(task)
                    task.add_done_callback(under_way.discard)
                await asyncio.sleep(self.rng.expovariate(self.rate))
            await asyncio.gather(*under_way)

    async def _one(self, client: HubClient, number: int, form: str, again: bool) -> None:
        key, reference = opaque(), f"NP-2026-{700_000 + number}"
        body = {**FORMS[form], "externalReference": reference}
        answer = await self._until_answered(client, body, key)
        if answer is None:
            return
        made = Acknowledged(form, reference, answer["referralId"], answer["caseReference"])
        self.acknowledged.append(made)
        if again:  # a sender that forgot it had the answer
            second = await self._until_answered(client, body, key)
            if second is not None and second["referralId"] != made.referral_id:
                self.wrong.append(f"{reference}: the same key gave a second referral")

    async def _until_answered(
        self, client: HubClient, body: dict[str, Any], key: str
    ) -> dict[str, Any] | None:
        for attempt in range(400):
            try:
                return await client.submit_referral(body, idempotency_key=key)
            except (CallFailed, TokenRefused) as failed:
                self.tries[type(failed).__name__] += 1
            except ProblemAnswer as problem:
                self.tries[f"{problem.status} {problem.code}"] += 1
                if problem.status not in _TRANSIENT and problem.code != "idempotency-in-flight":
                    self.wrong.append(
                        f"{body['externalReference']}, try {attempt + 1}: {problem.status} "
                        f"{problem.code}"
                    )
                    return None
            await asyncio.sleep(0.5 + self.rng.random())
        self.wrong.append(f"{body['externalReference']}: no answer after 400 tries")
        return None
