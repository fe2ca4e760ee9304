"""The inbox of an agency, as one signed-in person may read it from sharing."""

from collections.abc import Mapping
from typing import Any, Final

from common.access import Granted
from hubformats.statement import EnvelopeRefused
from hubpartner.delivery import envelope_of
from portal.shell.ports import Calls
from portal.work.model.delivery import Delayed, Delays, Sealed, Standing, Waiting

_PAGE: Final = 100
_PAGES: Final = 20
"""A person reads no longer list. The oldest come first, so what waits is not cut off for long."""


class SharingDeliveries:
    """Fulfils `portal.work.ports.Deliveries`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def waiting(self, granted: Granted, *, withdrawals: bool = False) -> list[Waiting]:
        """List deliveries, oldest first."""
        found: list[Waiting] = []
        params: dict[str, str | int] = {"limit": _PAGE}
        if withdrawals:
            params["kind"] = "withdrawal"
        for _ in range(_PAGES):
            body = await self._calls.get("sharing", "/v1/inbox", granted.scope, params)
            found.extend(_waiting(raw) for raw in body["items"])
            if len(body["items"]) < _PAGE:
                break
            params = {**params, "cursor": body["nextCursor"]}
        return found

    async def delays(self, granted: Granted) -> Delays:
        """Count what has not left, on either side of the agency."""
        body = await self._calls.get("sharing", "/v1/disclosures/delayed", granted.scope)
        return Delays(_delayed(body["received"]), _delayed(body["sent"]))

    async def fetch(self, granted: Granted, delivery_id: str) -> Sealed:
        """Fetch one delivery.

        Raises EnvelopeRefused when the bytes are not what their digest says.
        """
        raw = await self._calls.get("sharing", f"/v1/inbox/{delivery_id}", granted.scope)
        try:
            return Sealed(_waiting(raw), envelope_of(raw))
        except ValueError:
            raise EnvelopeRefused("digest-mismatch") from None

    async def standing(self, granted: Granted, delivery_id: str) -> Standing:
        """Tell whether one delivery still stands."""
        path = f"/v1/inbox/{delivery_id}/standing"
        raw = await self._calls.get("sharing", path, granted.scope)
        return Standing(raw["stands"], raw["takenBackAt"], raw["replaced"], raw["saidBy"])

    async def send_receipt(self, granted: Granted, delivery_id: str, receipt: str) -> None:
        """Sign for a delivery that a named practitioner accepted."""
        path = f"/v1/disclosures/{delivery_id}/receipt"
        await self._calls.post("sharing", path, granted.scope, {"receipt": receipt})

    async def answer(self, granted: Granted, delivery_id: str, answer: str, duty: str) -> None:
        """Say what the agency did with what was taken back."""
        path = f"/v1/disclosures/{delivery_id}/answer"
        said = {"answer": answer, "duty": duty or None}
        await self._calls.post("sharing", path, granted.scope, said)

    async def acknowledge(self, granted: Granted, delivery_id: str, role: str) -> None:
        """Say that a role has taken it up."""
        path = f"/v1/disclosures/{delivery_id}/acknowledgement"
        await self._calls.post("sharing", path, granted.scope, {"role": role})


def _delayed(raw: Mapping[str, Any]) -> Delayed:
    return Delayed(raw["urgent"], raw["others"], raw["since"])


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
        saved_at=raw.get("savedAt"),
        answer_due=raw.get("answerDue"),
        answer=raw.get("answer") or None,
        duty=raw.get("duty") or None,
    )
