"""The portal's calls to other services: whose token they carry, what is repeated, how they fail."""

import httpx2
import pytest

from common.testing import ManualClock
from hubformats import answers
from portal.emergency.client import SharingReleases
from portal.shell.client import PersonCalls
from portal.shell.model import CallRefused, NoAnswer, TokenRefused
from portal.work.client import SharingDeliveries
from portal.work.model.delivery import Waiting
from tests.support.portal_packages import DELIVERY
from tests.support.portal_services import URLS, Services, StillTokens, granted

ONE = str(DELIVERY)


def calls(answer: httpx2.Response | Exception, tokens: StillTokens | None = None) -> PersonCalls:
    """Calls that all end alike."""

    def answered(_: httpx2.Request) -> httpx2.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answered))
    return PersonCalls(URLS, tokens or StillTokens(), http=http, clock=ManualClock())


async def test_what_is_safe_to_repeat_has_a_key_of_its_own() -> None:
    services = Services()
    services.deliveries.items = [
        Waiting(ONE, "disclosure", "delivered", "2026-11-21T02:05:00Z", b"sealed")
    ]
    deliveries = SharingDeliveries(services.calls())
    await deliveries.send_receipt(granted("accept_delivery"), ONE, "the receipt")
    await deliveries.acknowledge(granted("accept_delivery"), ONE, "idva")
    assert all(services.keys)
    assert len(set(services.keys)) == 2


async def test_a_release_is_never_repeated_by_itself() -> None:
    services = Services()
    services.releases.against = CallRefused(503, "unavailable")
    releases = SharingReleases(services.calls())
    with pytest.raises(CallRefused):
        await releases.release(granted("release_in_emergency"), ONE, "code", "reason")
    assert services.keys == [""], "sent once, without a key"


async def test_a_grant_for_another_scope_is_refused_by_the_service() -> None:
    services = Services()
    with pytest.raises(CallRefused) as refused:
        await SharingDeliveries(services.calls()).waiting(granted("search_log"))
    assert (refused.value.status, refused.value.code) == (403, "insufficient-scope")


async def test_a_refusal_tells_its_status_and_word_only() -> None:
    body = {"code": "forbidden", "detail": "Secret inner words.", "status": 403}
    with pytest.raises(CallRefused) as refused:
        await calls(httpx2.Response(403, json=body)).get("sharing", "/v1/inbox", "disclosure.read")
    assert (refused.value.status, refused.value.code) == (403, "forbidden")
    assert "Secret" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_no_answer_is_told_apart_from_a_refusal() -> None:
    with pytest.raises(NoAnswer):
        await calls(httpx2.ReadTimeout("late")).post_once(
            "sharing", "/v1/disclosures/1/emergency-release", "sharing.request", {}
        )


@pytest.mark.parametrize("code", ["unreachable", "invalid_grant", "unauthorized_client"])
async def test_a_token_that_identity_does_not_give_ends_the_call(code: str) -> None:
    class Refusing(StillTokens):
        async def token(self, audience: str, scope: str) -> str:
            raise answers.TokenRefused(code)

    with pytest.raises(TokenRefused) as refused:
        await calls(httpx2.Response(200), Refusing()).get("audit", "/v1/entries/1", "audit.read")
    assert refused.value.code == code
