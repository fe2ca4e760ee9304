"""Referral's vetoes and sharing's second looks over HTTP, on the memory of the portal's fakes."""

import json
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2

from common.access import Granted
from common.testing import ManualClock
from portal.depends import guard
from portal.second_look.model import Look
from portal.vetoes.model import Lifting, Veto
from tests.support.portal_harness import signed_in
from tests.support.portal_services import HttpServices, Route
from tests.support.portal_veto_fakes import LOOK_REASONS, REASONS, MemoryLooks, MemoryVetoes

SCOPES: Final = "referral.read referral.write case.read case.write"


def allowed(action: str) -> Granted:
    """What a freshly signed-in person who may do this was granted."""
    clock = ManualClock()
    role = "privacy_officer" if "look" in action else "marac_coordinator"
    session = signed_in(clock, agency="northmoor-police", roles=(role,), scope=SCOPES)
    return guard.permit(action, session.principal, at=clock.now())


@dataclass
class VetoServices(HttpServices):
    """Answers the portal's calls from what the fakes hold."""

    vetoes: MemoryVetoes = field(default_factory=MemoryVetoes)
    looks: MemoryLooks = field(default_factory=MemoryLooks)

    def _routes(self) -> list[Route]:
        case, one = "/v1/referrals/([^/]+)/vetoes", "/v1/veto-liftings/([^/]+)"
        look = "/v1/second-looks/([^/]+)"
        return [
            ("GET", "/v1/referrals", "referral.read", self._sent),
            ("GET", case, "referral.read", self._of_referral),
            ("GET", "/v1/referrals/([^/]+)", "referral.read", self._referral),
            ("POST", case, "referral.write", self._set),
            ("POST", f"{case}/([^/]+)/liftings", "referral.write", self._ask),
            ("GET", "/v1/veto-liftings", "case.read", self._waiting),
            ("GET", "/v1/lapsed-liftings", "referral.read", self._lapsed),
            ("GET", one, "case.read", self._lifting),
            ("POST", f"{one}/(confirmation|refusal)", "case.write", self._settle),
            ("GET", "/v1/veto-reasons", "directory.read", self._reasons),
            ("GET", "/v1/second-looks", "case.read", self._queue),
            ("GET", look, "case.read", self._look),
            ("POST", f"{look}/owner", "case.write", self._take),
            ("POST", f"{look}/outcome", "case.write", self._outcome),
            ("GET", "/v1/second-look-reasons", "case.read", self._look_reasons),
        ]

    async def _sent(self, request: httpx2.Request) -> dict[str, Any]:
        """One a page, the oldest change first."""
        every = list(reversed(list(await self.vetoes.sent(allowed("see_vetoes")))))
        place = int(request.url.params.get("cursor", "0"))
        items = [
            {
                "referralId": one.referral_id,
                "caseReference": one.case_reference,
                "kind": one.kind,
                "changedAt": one.changed_at,
                "externalReference": one.own_reference or None,
            }
            for one in every[place : place + 1]
        ]
        more = place + 1 < len(every)
        return {"items": items, "nextCursor": str(place + 1) if more else None}

    async def _of_referral(self, _: httpx2.Request, referral_id: str) -> dict[str, Any]:
        found = await self.vetoes.of_referral(allowed("see_vetoes"), referral_id)
        return {
            "caseReference": found.case_reference,
            "version": 1,
            "vetoes": [_veto(each) for each in found.vetoes],
            "liftings": [_lifting(each) for each in found.liftings],
        }

    async def _referral(self, _: httpx2.Request, referral_id: str) -> dict[str, Any]:
        found = await self.vetoes.of_referral(allowed("see_vetoes"), referral_id)
        outcomes = [{"recipient": who, "state": state} for who, state in found.outcomes.items()]
        return {"externalReference": found.own_reference or None, "outcomes": outcomes}

    async def _set(self, request: httpx2.Request, referral_id: str) -> dict[str, Any]:
        body = json.loads(request.content)
        choice = f"{body['kind']}/{body['reasonCode']}"
        may = allowed("set_veto")
        made = await self.vetoes.set(may, referral_id, choice, body["agency"], body["reason"])
        return {"vetoId": made}

    async def _ask(self, request: httpx2.Request, referral_id: str, veto_id: str) -> dict[str, Any]:
        body = json.loads(request.content)
        asked = (referral_id, veto_id, body["reasonCode"], body["reason"])
        await self.vetoes.ask(allowed("ask_lifting"), *asked)
        return {}

    async def _waiting(self, _: httpx2.Request) -> dict[str, Any]:
        found = await self.vetoes.waiting(allowed("see_liftings"))
        waiting, lapsed = (
            [_listed(each) for each in found if each.state == state]
            for state in ("asked", "lapsed")
        )
        return {"items": waiting, "lapsed": lapsed}

    async def _lapsed(self, _: httpx2.Request) -> dict[str, Any]:
        found = await self.vetoes.lapsed(allowed("see_vetoes"))
        return {"items": [_listed(each) for each in found]}

    async def _lifting(self, _: httpx2.Request, lifting_id: str) -> dict[str, Any]:
        found = await self.vetoes.lifting(allowed("see_liftings"), lifting_id)
        veto = None if found.veto is None else _veto(found.veto)
        return {
            **_lifting(found),
            **_listed(found),
            "veto": veto,
            "reason": found.reason,
            "youMayConfirm": found.you_may_confirm,
        }

    async def _settle(self, request: httpx2.Request, lifting_id: str, end: str) -> dict[str, Any]:
        body = json.loads(request.content)
        step = "confirm" if end == "confirmation" else "refuse"
        choice = f"{step}/{body['reasonCode']}"
        await self.vetoes.settle(allowed("confirm_lifting"), lifting_id, choice, body["reason"])
        return {}

    async def _reasons(self, _: httpx2.Request) -> dict[str, Any]:
        setting = {kind: _codes(codes) for kind, codes in REASONS.setting.items()}
        lift, refuse = _codes(REASONS.lifting), _codes(REASONS.refusing)
        return {"version": "v", "set": setting, "lift": lift, "refuse": refuse}

    async def _queue(self, request: httpx2.Request) -> dict[str, Any]:
        closed = request.url.params.get("closed") == "true"
        found = await self.looks.listed(allowed("see_second_looks"), closed=closed)
        return {"items": [_look(each) for each in found]}

    async def _look(self, _: httpx2.Request, look_id: str) -> dict[str, Any]:
        return _look(await self.looks.one(allowed("see_second_looks"), look_id))

    async def _take(self, _: httpx2.Request, look_id: str) -> dict[str, Any]:
        await self.looks.take(allowed("review_second_look"), look_id)
        return {}

    async def _outcome(self, request: httpx2.Request, look_id: str) -> dict[str, Any]:
        body = json.loads(request.content)
        said = (body["outcome"], body["reasonCode"], body["reason"])
        await self.looks.answer(allowed("review_second_look"), look_id, *said)
        return {}

    async def _look_reasons(self, _: httpx2.Request) -> dict[str, Any]:
        found = {outcome: _codes(codes) for outcome, codes in LOOK_REASONS.items()}
        return {"version": "v", "reasons": found}


def _veto(one: Veto) -> dict[str, Any]:
    return {
        "vetoId": one.veto_id,
        "kind": one.kind,
        "agency": one.agency,
        "category": one.category,
        "person": one.person or None,
        "setBy": one.set_by or None,
        "setAt": one.set_at or None,
        "reasonCode": one.reason_code or None,
    }


def _lifting(one: Lifting) -> dict[str, Any]:
    return {
        "liftingId": one.lifting_id,
        "number": one.number,
        "vetoId": one.veto_id,
        "kind": one.kind,
        "state": one.state,
        "askedBy": {"agency": one.agency, "role": one.role, "you": one.you},
        "reasonCode": one.reason_code,
        "askedAt": one.asked_at,
        "lapsesAt": one.lapses_at,
        "settledBy": {"agency": "", "role": one.settled_by, "you": one.settled_by_you}
        if one.settled_by
        else None,
        "settledAt": one.settled_at or None,
        "settledCode": one.settled_code or None,
    }


def _listed(one: Lifting) -> dict[str, Any]:
    said = {name: value for name, value in _lifting(one).items() if name not in {"vetoId", "state"}}
    return {**said, "caseReference": one.case_reference, "youMaySettle": one.you_may_settle}


def _look(one: Look) -> dict[str, Any]:
    return {
        "lookId": one.look_id,
        "act": one.act,
        "reasonCode": one.reason_code,
        "caseReference": one.case_reference,
        "parties": [{"agency": agency, "role": role} for agency, role in one.parties],
        "filedAt": one.filed_at,
        "dueAt": one.due_at,
        "overdue": one.overdue,
        "state": one.state,
        "owner": one.owner,
        "outcomeCode": one.outcome_code or None,
        "next": list(one.next),
    }


def _codes(codes: Any) -> list[dict[str, str]]:
    return [{"code": code, "meaning": text} for code, text in codes.items()]
