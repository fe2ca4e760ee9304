"""Vetoes at referral, as one signed-in person may set and lift them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from common.access import Granted
from portal.shell.ports import Calls
from portal.vetoes.model import CONFIRM, CaseVetoes, Lifting, Reasons, Sent, Veto

_SHOWN: Final = 200


class ReferralVetoes:
    """Fulfils `portal.vetoes.ports.Vetoes`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def sent(self, granted: Granted) -> Sequence[Sent]:
        """Read page by page, for the list is served with the oldest change first."""
        found: list[Sent] = []
        params: dict[str, str | int] = {}
        while True:
            body = await self._calls.get("referral", "/v1/referrals", granted.scope, params)
            found = [*found, *map(_sent, body["items"])][-_SHOWN:]
            if not body["nextCursor"]:
                return tuple(reversed(found))
            params = {"cursor": body["nextCursor"]}

    async def of_referral(self, granted: Granted, referral_id: str) -> CaseVetoes:
        """Read them."""
        path = f"/v1/referrals/{referral_id}/vetoes"
        body = await self._calls.get("referral", path, granted.scope)
        sent = await self._calls.get("referral", f"/v1/referrals/{referral_id}", granted.scope)
        reference = body["caseReference"]
        liftings = tuple(_lifting({**raw, "caseReference": reference}) for raw in body["liftings"])
        return CaseVetoes(
            reference,
            tuple(map(_veto, body["vetoes"])),
            liftings,
            sent["externalReference"] or "",
            {each["recipient"]: each["state"] for each in sent["outcomes"]},
        )

    async def reasons(self) -> Reasons:
        """Return them by kind and step."""
        body = await self._calls.get("referral", "/v1/veto-reasons", "directory.read")
        setting = {kind: _codes(codes) for kind, codes in body["set"].items()}
        return Reasons(setting, _codes(body["lift"]), _codes(body["refuse"]))

    async def set(
        self, granted: Granted, referral_id: str, choice: str, agency: str, reason: str
    ) -> str:
        """Set it; the same veto again is the same veto, so it may be repeated."""
        kind, _, code = choice.partition("/")
        body = {"kind": kind, "agency": agency, "reasonCode": code, "reason": reason}
        path = f"/v1/referrals/{referral_id}/vetoes"
        made = await self._calls.post("referral", path, granted.scope, body)
        return str(made["vetoId"])

    async def ask(
        self, granted: Granted, referral_id: str, veto_id: str, code: str, reason: str
    ) -> None:
        """Ask, under one idempotency key."""
        path = f"/v1/referrals/{referral_id}/vetoes/{veto_id}/liftings"
        body = {"reasonCode": code, "reason": reason}
        await self._calls.post("referral", path, granted.scope, body)

    async def waiting(self, granted: Granted) -> Sequence[Lifting]:
        """List them, oldest first; then what lapsed."""
        body = await self._calls.get("referral", "/v1/veto-liftings", granted.scope)
        return (*map(_lifting, body["items"]), *map(_lapsed, body["lapsed"]))

    async def lapsed(self, granted: Granted) -> Sequence[Lifting]:
        """List them."""
        body = await self._calls.get("referral", "/v1/lapsed-liftings", granted.scope)
        return tuple(map(_lapsed, body["items"]))

    async def lifting(self, granted: Granted, lifting_id: str) -> Lifting:
        """Read one."""
        path = f"/v1/veto-liftings/{lifting_id}"
        return _lifting(await self._calls.get("referral", path, granted.scope))

    async def settle(self, granted: Granted, lifting_id: str, choice: str, reason: str) -> None:
        """Answer, under one idempotency key."""
        step, _, code = choice.partition("/")
        end = "confirmation" if step == CONFIRM else "refusal"
        body = {"reasonCode": code, "reason": reason}
        path = f"/v1/veto-liftings/{lifting_id}/{end}"
        await self._calls.post("referral", path, granted.scope, body)


def _sent(raw: Mapping[str, Any]) -> Sent:
    return Sent(
        raw["referralId"],
        raw["caseReference"],
        raw["kind"],
        raw["changedAt"],
        raw["externalReference"] or "",
    )


def _veto(raw: Mapping[str, Any]) -> Veto:
    return Veto(
        raw["vetoId"],
        raw["kind"],
        raw["agency"],
        raw["category"],
        raw["person"] or "",
        set_by=raw["setBy"] or "",
        set_at=raw["setAt"] or "",
        reason_code=raw["reasonCode"] or "",
    )


def _lifting(raw: Mapping[str, Any]) -> Lifting:
    veto, settled = raw.get("veto"), raw.get("settledBy")
    return Lifting(
        lifting_id=raw["liftingId"],
        veto_id=raw.get("vetoId", ""),
        kind=raw["kind"],
        case_reference=raw["caseReference"],
        agency=raw["askedBy"]["agency"],
        role=raw["askedBy"]["role"],
        you=raw["askedBy"]["you"],
        reason_code=raw["reasonCode"],
        asked_at=raw["askedAt"],
        lapses_at=raw["lapsesAt"],
        state=raw.get("state", "asked"),
        veto=None if veto is None else _veto(veto),
        reason=raw.get("reason", ""),
        you_may_settle=raw.get("youMaySettle", False),
        you_may_confirm=raw.get("youMayConfirm", False),
        number=raw["number"],
        settled_by=settled["role"] if settled else "",
        settled_by_you=bool(settled and settled["you"]),
        settled_at=raw.get("settledAt") or "",
        settled_code=raw.get("settledCode") or "",
    )


def _lapsed(raw: Mapping[str, Any]) -> Lifting:
    return _lifting({**raw, "state": "lapsed"})


def _codes(codes: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {each["code"]: each["meaning"] for each in codes}
