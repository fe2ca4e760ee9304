"""A correction of what was opened asks what became of the old, and takes each of three answers."""

from dataclasses import replace
from pathlib import Path

from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import DELIVERY, envelope, package
from tests.unit.portal.test_withdrawal import BACK
from tests.unit.portal.test_work_list import at, rows, told

PATH = f"/deliveries/{BACK}"


def correction(harness: PortalHarness, due: str | None = "2026-11-23T02:10:00Z") -> None:
    """A delivery, and a correction of it."""
    listed = replace(at(BACK, 10, told(BACK, kind="correction"), kind="correction"), answer_due=due)
    harness.deliveries.items = [at(DELIVERY, 1, envelope(package())), listed]


async def test_its_page_asks_for_an_answer_with_each_that_there_is(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        correction(harness)
        page = (await harness.get(PATH)).text
        for code in ("corrected", "stopped_and_deleted", "kept_under_duty"):
            assert f'value="{code}"' in page
        assert "Answer by 23 November 2026 at 2:10am" in page
        assert "What was read cannot be unread." in page
        assert "Accept this delivery" not in page
        correction(harness, due=None)
        page = (await harness.get(PATH)).text
        assert "Accept this delivery" in page
        assert "Send answer" not in page, "nobody had opened what it corrects"


async def test_its_page_says_to_take_out_what_is_no_longer_there(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        for due in ("2026-11-23T02:10:00Z", None):
            correction(harness, due)
            page = (await harness.get(PATH)).text
            assert "Compare everything you hold on this case with this page." in page
            assert "must not be used or passed on. Take it out of your records." in page
        assert "Compare everything" not in (await harness.get(f"/deliveries/{DELIVERY}")).text


async def test_who_corrected_the_record_has_accepted_it_with_a_receipt(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        correction(harness)
        answer = await harness.post(f"{PATH}/answer", answer="corrected", duty="")
        assert answer.status_code == 303
        assert str(BACK) in harness.deliveries.receipts
        assert "acknowledged as idva" in harness.deliveries.done


async def test_the_other_answers_close_it_and_are_said(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        for typed, done, words in (
            ({"answer": "stopped_and_deleted"}, "answered stopped_and_deleted", "Stopped and"),
            (
                {"answer": "kept_under_duty", "duty": "court_order"},
                "answered kept_under_duty court_order",
                "A court order, or proceedings under way",
            ),
        ):
            correction(harness)
            answer = await harness.post(f"{PATH}/answer", **typed)
            assert answer.status_code == 303
            assert done in harness.deliveries.done
            assert not harness.deliveries.receipts
            page = (await harness.get(PATH)).text
            assert words in page
            assert "Send answer" not in page
            assert "Accept this delivery" in page, "what stands here may still be signed for"
            assert "Your agency has signed for it" not in page
            last = (await rows(harness))[-1]
            assert (last[0], "Answered" in last[-1]) == ("b1", True)


async def test_an_answer_without_its_duty_is_asked_for_again_beside_the_facts(
    tmp_path: Path,
) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        correction(harness)
        answer = await harness.post(f"{PATH}/answer", answer="kept_under_duty", duty="")
        assert answer.status_code == 422
        assert "Select the duty" in answer.text
        assert "Error: " in answer.text
        assert 'id="safe-contact"' in answer.text
        assert not [one for one in harness.deliveries.done if one.startswith("answered")]
