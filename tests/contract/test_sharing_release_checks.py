"""The last look before a release: the fake and the real client, on the referral service itself,
say the same of a case as it stands at that moment."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio

from common.testing import ManualClock
from common.web.client import ServiceClient
from hubformats.ids import opaque, uuid7
from sharing.disclosures.client import ReferralChecks
from sharing.disclosures.ports import ReleaseChecks
from tests.support.inner_hub import CLOCK, POLICE, URGENT, inner_hub
from tests.support.port_suites import Held
from tests.support.sharing_harness import Checks
from tests.support.snapshots import marking

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN: Final = UUID(int=7)
PORTS: Final = (Held(ReleaseChecks, (ReferralChecks,), Checks),)


@dataclass
class Asked:
    """The port, and what may happen at referral's."""

    checks: ReleaseChecks
    away: Callable[[bool], None]
    a_case: Callable[[], Awaitable[UUID]]
    """A new case at version 1."""
    veto: Callable[[UUID], Awaitable[None]]
    """Its sender names somebody who must not be told."""


def _in_memory() -> Asked:
    checks = Checks(ManualClock())
    checks.unknown.add(UNKNOWN)

    async def a_case() -> UUID:
        made = uuid7()
        checks.version, checks.vetoes = 1, ()
        return made

    async def veto(_case: UUID) -> None:
        checks.version = (checks.version or 0) + 1
        checks.vetoes += (marking("must_not_disclose", agency="northmoor-housing"),)

    def away(yes: bool) -> None:
        checks.down = yes

    return Asked(checks, away, a_case, veto)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["fake", "referral"])
async def asked(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Asked]:
    """The port of one kind."""
    if request.param == "fake":
        yield _in_memory()
        return
    async with inner_hub(tmp_path_factory.mktemp("hub")) as hub:
        referrals: dict[UUID, str] = {}
        is_away = [False]

        async def a_case() -> UUID:
            sent = await hub.submit({**URGENT, "externalReference": f"T-{opaque(9)}"})
            referral = UUID(sent.json()["referralId"])
            found = hub.rows("referral", "SELECT case_id FROM referral WHERE id = ?", referral.hex)
            case_id = UUID(found[0][0])
            referrals[case_id] = str(referral)
            return case_id

        async def veto(case_id: UUID) -> None:
            path = f"/v1/referrals/{referrals[case_id]}/must-not-disclose"
            body = {"agency": "northmoor-housing", "reason": "Not safe."}
            answer = await hub.call(POLICE, "POST", "referral", path, json=body)
            assert answer.status_code == 201, answer.text

        async def through(sent: httpx2.Request) -> httpx2.Response:
            if is_away[0]:
                raise httpx2.ConnectError("nobody")
            return await hub.http.send(sent)

        async with httpx2.AsyncClient(transport=httpx2.MockTransport(through)) as http:
            tokens = hub.caller("svc-sharing").tokens
            client = ServiceClient(hub.url("referral"), tokens, http=http, clock=CLOCK)
            yield Asked(
                ReferralChecks(client, CLOCK),
                lambda yes: is_away.__setitem__(0, yes),
                a_case,
                veto,
            )


async def test_the_answer_is_the_newest_version_with_every_veto(asked: Asked) -> None:
    case_id = await asked.a_case()
    before = await asked.checks.check(case_id, 1, ())
    assert before is not None
    await asked.veto(case_id)
    after = await asked.checks.check(case_id, 1, (uuid7(),))
    assert after is not None
    assert (before.version, after.version) == (1, 2)
    new = [veto for veto in after.vetoes if veto not in before.vetoes]
    assert [(veto.kind, veto.agency) for veto in new] == [
        ("must_not_disclose", "northmoor-housing")
    ]
    assert before.asked <= after.asked


async def test_there_is_no_old_answer_when_none_can_be_had_now(asked: Asked) -> None:
    case_id = await asked.a_case()
    assert await asked.checks.check(case_id, 1, ()) is not None
    asked.away(True)
    assert await asked.checks.check(case_id, 1, ()) is None
    asked.away(False)
    assert await asked.checks.check(case_id, 1, ()) is not None


async def test_a_case_that_referral_does_not_know_gets_no_answer(asked: Asked) -> None:
    await asked.a_case()
    assert await asked.checks.check(UNKNOWN, 1, ()) is None


async def test_many_cases_are_asked_about_at_once_and_the_unknown_left_out(asked: Asked) -> None:
    first, second = await asked.a_case(), await asked.a_case()
    found = await asked.checks.check_all([first, second, UNKNOWN])
    assert found is not None
    assert {one: state.version for one, state in found.items()} == {first: 1, second: 1}
    asked.away(True)
    assert await asked.checks.check_all([first]) is None
    asked.away(False)
