"""A receipt under a key nobody has heard of: asked about before it is refused, and neither taken
nor refused while nobody can be asked."""

from pathlib import Path
from typing import Any

from hubformats.keys import generate_signing
from hubpartner.delivery import saved_receipt
from tests.support.inner_hub import FULL, InnerHub, inner_hub

IDVA = "northmoor-idva"


async def sent(hub: InnerHub, delivery_id: Any, receipt: str) -> tuple[int, str, str]:
    """Status, problem code and Retry-After of the answer to a receipt."""
    path = f"/v1/disclosures/{delivery_id}/receipt"
    answer = await hub.call(
        IDVA, "POST", "sharing", path, scope="disclosure.acknowledge", json={"receipt": receipt}
    )
    return answer.status_code, answer.json().get("code", ""), answer.headers.get("retry-after", "")


async def test_a_receipt_under_an_unknown_key_waits_for_the_directory(tmp_path: Path) -> None:
    async with inner_hub(tmp_path) as hub:
        referral = (await hub.submit(FULL)).json()
        assert await hub.outcomes(referral["referralId"]) == {"released"}
        client, keys = hub.client(IDVA), hub.frame("sharing").keys
        delivery = client.open((await client.inbox(wait=5)).items[0])
        strange = saved_receipt(delivery, signer=generate_signing(IDVA), system="case-system")
        there, keys._url = keys._url, f"{hub.url('identity')}/v1/nowhere"
        keys._asked_at = float("-inf")  # it was asked, and answered, at the start
        for _ in range(2):  # asked in vain, and then not asked again so soon
            status, code, after = await sent(hub, delivery.delivery_id, strange)
            assert (status, code) == (503, "unavailable")
            assert 1 <= int(after) <= 10
        assert (
            await sent(
                hub,
                delivery.delivery_id,
                saved_receipt(delivery, signer=client.profile.signing, system="case-system"),
            )
        )[0] == 200
        keys._url, keys._asked_at = there, float("-inf")
        assert (await sent(hub, delivery.delivery_id, strange))[:2] == (422, "receipt-refused")
