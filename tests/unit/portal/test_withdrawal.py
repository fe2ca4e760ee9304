"""A withdrawal stands first on the work list; its page says plainly what was taken back and takes
one of two answers."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import CONTENT, DELIVERY, envelope, package
from tests.unit.portal.test_work_list import at, rows, told

BACK = UUID("01932000-0000-7000-8000-0000000000b1")
AGAIN = UUID("01932000-0000-7000-8000-0000000000b2")
SECOND = UUID("01932000-0000-7000-8000-0000000000b3")
PATH = f"/deliveries/{BACK}"
TAKEN = {"withdraws": [str(DELIVERY)], "sections": [], "urgent": False, "answerRequired": True}


def withdrawal(harness: PortalHarness, due: str | None = "2026-11-23T02:10:00Z") -> None:
    """An urgent delivery, and behind it the withdrawal of another."""
    value = told(BACK, **TAKEN, kind="withdrawal")
    listed = replace(at(BACK, 10, value, kind="withdrawal"), answer_due=due)
    harness.deliveries.items = [at(DELIVERY, 1, envelope(package(CONTENT))), listed]


async def test_it_stands_before_danger_and_says_by_when_to_answer(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        withdrawal(harness)
        first, second = await rows(harness)
        assert "Urgent" in second[1]
        assert first[0] == "b1"
        assert "Withdrawal" in first[1]
        assert "To answer" in first[1]
        assert "23 November 2026 at 2:10am" in first[1]


async def test_of_what_nobody_opened_it_stands_below_danger_and_above_the_rest(
    tmp_path: Path,
) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        withdrawal(harness, due=None)
        harness.deliveries.items += [at(AGAIN, 20, told(AGAIN, urgent=False))]
        assert [name for name, _ in await rows(harness)] == ["21", "b1", "b2"]


async def test_its_page_says_what_was_taken_back_and_shows_no_fact(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        withdrawal(harness)
        page = (await harness.get(PATH)).text
        assert "What was read cannot be unread." in page
        assert str(DELIVERY)[-8:].upper() in page
        assert "Answer by 23 November 2026 at 2:10am" in page
        assert "Accept this delivery" not in page
        assert "leaves somebody in danger without help, call the hub’s support" in page
        withdrawal(harness, due=None)
        assert "Nobody at your agency is known to have opened it." in (await harness.get(PATH)).text


async def test_an_answer_without_its_duty_is_asked_for_again(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        withdrawal(harness)
        await harness.get(PATH)
        for typed, words in (
            ({}, "Select what your agency did"),
            ({"answer": "kept_under_duty"}, "Select the duty"),
            ({"answer": "burned"}, "Select what your agency did"),
        ):
            answer = await harness.post(f"{PATH}/answer", **typed)
            assert answer.status_code == 422
            assert words in answer.text
            assert "Error: " in answer.text
        assert not [one for one in harness.deliveries.done if one.startswith("answered")]


async def test_both_answers_are_taken_and_said(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        for typed, done, words in (
            (
                {"answer": "kept_under_duty", "duty": "court_order"},
                "answered kept_under_duty court_order",
                "Kept under a duty",
            ),
            (
                {"answer": "stopped_and_deleted", "duty": "court_order"},
                "answered stopped_and_deleted",
                "Stopped and deleted",
            ),
        ):
            withdrawal(harness)
            answer = await harness.post(f"{PATH}/answer", **typed)
            assert answer.status_code == 303
            assert done in harness.deliveries.done
            entry = harness.recorder.entries[-1]
            said = f"answered {entry.reason_code} {entry.justification_code}".strip()
            assert said == done, "the portal's own entry is no acceptance"
            page = (await harness.get(PATH)).text
            assert words in page
            assert "Send answer" not in page
            assert (await rows(harness))[-1][0] == "b1", "what is answered is done"


async def test_a_withdrawal_says_when_the_agency_was_told_again_and_leads_there(
    tmp_path: Path,
) -> None:
    case = f"NM-{str(BACK)[-2:].upper()}00-0000-0000"
    async with portal_harness(envelope(package()), tmp_path) as harness:
        withdrawal(harness)
        await rows(harness)
        assert "told again" not in (await harness.get(PATH)).text
        second = told(SECOND, **TAKEN, kind="withdrawal", caseReference=case)
        again = at(AGAIN, 20, told(AGAIN, caseReference=case))
        harness.deliveries.items += [again, at(SECOND, 30, second, kind="withdrawal")]
        await rows(harness)
        page = (await harness.get(PATH)).text
        assert "Your agency was told again on 21 November 2026 at 2:20am." in page
        assert f'<a class="govuk-link" href="/deliveries/{AGAIN}">Open it</a>' in page
        assert f"concerns delivery {str(DELIVERY)[-8:].upper()} only." in page
        assert "told again" not in (await harness.get(f"/deliveries/{SECOND}")).text
        assert "A newer delivery" not in (await harness.get(f"/deliveries/{AGAIN}")).text, (
            "a withdrawal tells nothing"
        )
