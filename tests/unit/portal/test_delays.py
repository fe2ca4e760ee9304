"""While the audit log is silent, the first page says what has not left, to whoever could act."""

from pathlib import Path

import pytest

from portal.shell.model import CallRefused
from portal.work.model.delivery import Delayed, Delays, delay_lines
from tests.support.portal_harness import portal_harness
from tests.support.portal_packages import SECRET_NAME, envelope, package

SINCE = "2026-11-21T02:40:00Z"
TO_US = Delays(received=Delayed(1, 2, SINCE))
OF_OURS = Delays(sent=Delayed(2, 0, SINCE))


async def test_an_adviser_is_told_that_danger_is_on_its_way_and_whom_to_call(
    tmp_path: Path,
) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        assert 'id="delays"' not in (await harness.get("/work")).text
        harness.deliveries.delayed = TO_US
        for path in ("/work", "/work/renewed"):
            text = (await harness.get(path)).text
            assert "Urgent deliveries have not left" in text
            assert (
                "1 urgent delivery and 2 other deliveries to your agency have not left, since "
                "21 November 2026 at 2:40am." in text
            )
            assert "call the hub’s support on 01632 960000" in text
            assert "call 999" in text
            assert "/emergency" not in text, "not hers to release"


async def test_a_coordinators_first_page_leads_to_the_release(tmp_path: Path) -> None:
    async with portal_harness(
        envelope(package()), tmp_path, agency="northmoor-police", roles=("marac_coordinator",)
    ) as harness:
        harness.deliveries.delayed = OF_OURS
        assert harness.session.person.first_screen == "/work"
        text = (await harness.get("/work")).text
        strip = text.partition('id="delays"')[2].partition("</div>")[0]
        assert "2 urgent deliveries of your agency’s referrals have not left" in strip
        assert 'href="/emergency">Release in an emergency</a>' in strip


async def test_what_waits_is_said_when_nothing_else_can_be_shown(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        harness.deliveries.delayed = TO_US
        harness.deliveries.against = CallRefused(503, "audit-backlog")
        answer = await harness.get("/work")
        assert answer.status_code == 200
        assert "1 urgent delivery" in answer.text
        assert "has not answered for 15 minutes" in answer.text
        assert SECRET_NAME not in answer.text
        harness.deliveries.against = CallRefused(503, "unavailable")
        assert (await harness.get("/work")).status_code == 503


@pytest.mark.parametrize(
    ("delayed", "said"),
    [
        (Delayed(), ""),
        (Delayed(1, 0, SINCE), "1 urgent delivery to your agency has not left"),
        (Delayed(0, 1, SINCE), "1 delivery to your agency has not left"),
        (Delayed(0, 3, SINCE), "3 deliveries to your agency have not left"),
        (Delayed(2, 1, SINCE), "2 urgent deliveries and 1 other delivery to your agency have not"),
    ],
)
def test_counts_are_said_in_words(delayed: Delayed, said: str) -> None:
    lines = delay_lines(Delays(received=delayed))
    assert [line.text.startswith(said) for line in lines] == [True] * bool(said)
    assert [line.urgent for line in lines] == [delayed.urgent > 0] * bool(said)
