"""While nobody can say whether deliveries may be shown, the pages say so in words; withdrawals
stay."""

from pathlib import Path

from portal.shell.model import CallRefused
from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import DELIVERY, SECRET_NAME, envelope, package
from tests.unit.portal.test_withdrawal import BACK, PATH, withdrawal

UNCHECKED = CallRefused(503, "deliveries-unchecked")


def in_words(text: str) -> None:
    """What is known, what is not, that nothing is lost, and whom to ring."""
    for words in (
        "whether somebody has said that your agency must not see it",
        "Nothing is lost",
        "Whether something new or urgent has come for you is not known",
        "01632 960000, any hour",
        "call 999",
    ):
        assert words in text
    assert SECRET_NAME not in text


def silent(harness: PortalHarness) -> None:
    """A delivery and a withdrawal, and nobody to ask."""
    withdrawal(harness)
    harness.deliveries.against = UNCHECKED


async def test_the_work_list_says_so_and_shows_withdrawals(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        silent(harness)
        for path in ("/work", "/work/renewed"):
            answer = await harness.get(path)
            assert answer.status_code == 200
            in_words(answer.text)
            assert PATH in answer.text
            assert f"/deliveries/{DELIVERY}" not in answer.text
            assert "Nothing is waiting for you" not in answer.text, "nobody knows that"
        assert harness.summaries.kept == {}, "a part of the list teaches nothing of the whole"
        harness.deliveries.against = None
        assert 'id="unchecked"' not in (await harness.get("/work")).text


async def test_a_delivery_says_so_and_a_withdrawal_opens(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        silent(harness)
        answer = await harness.get(f"/deliveries/{DELIVERY}")
        assert answer.status_code == 503
        in_words(answer.text)
        assert "Page not found" not in answer.text
        assert "Answer by" in (await harness.get(f"/deliveries/{BACK}")).text
