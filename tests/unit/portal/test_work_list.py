"""The work list: danger at the door stands first before anybody has opened it, and a kept promise
is one line."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from hubformats.dates import time_of_day
from hubpartner.accepting import accept_by
from portal.shell.model import IDLE
from portal.work.model.delivery import Waiting
from tests.support.portal_harness import PortalHarness, portal_harness
from tests.support.portal_packages import (
    CONTENT,
    DELIVERY,
    SECRET_NAME,
    envelope,
    package,
    promised,
)

ROUTINE = UUID("01932000-0000-7000-8000-0000000000a1")
LATER = UUID("01932000-0000-7000-8000-0000000000a2")
UNKNOWN = {
    "status": "unknown",
    "doNotContact": True,
    "lastVerified": None,
    "items": [],
    "means": [],
}
ONE_HOUR = [{"code": "acknowledge-one-hour", "text": "Acknowledge within one hour."}]
TWO_DAYS = [{"code": "acknowledge-two-days", "text": "Acknowledge within two working days."}]


def told(delivery_id: UUID, **changes: Any) -> bytes:
    """A sound delivery under this id, on a case of its own unless told otherwise."""
    case = (
        CONTENT["caseReference"]
        if delivery_id == DELIVERY
        else f"NM-{str(delivery_id)[-2:].upper()}00-0000-0000"
    )
    content = {**CONTENT, "deliveryId": str(delivery_id), "caseReference": case, **changes}
    made = package(content, delivery_id=delivery_id, kind=content["kind"])
    return envelope(made)


def at(
    delivery_id: UUID,
    minute: int,
    value: bytes | None,
    state: str = "delivered",
    kind: str = "disclosure",
) -> Waiting:
    """As the inbox lists it."""
    when = f"2026-11-21T02:{minute:02}:00Z"
    return Waiting(
        str(delivery_id),
        kind,
        state,
        when,
        value,
        saved_at=when if state == "acknowledged" else None,
    )


async def rows(harness: PortalHarness) -> list[tuple[str, str]]:
    """The end of each listed id, and the words of its line."""
    text = (await harness.get("/work")).text
    assert SECRET_NAME not in text
    found = re.findall(r'<tr class="govuk-table__row">(.*?)</tr>', text, re.DOTALL)
    lines = [one for one in found if "/deliveries/" in one]
    return [
        (
            re.findall(r"/deliveries/[0-9a-f-]*(..)\"", one)[0],
            " ".join(re.sub(r"<[^>]+>", " ", one).split()),
        )
        for one in lines
    ]


async def test_an_unopened_urgent_delivery_says_so_and_stands_first(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        harness.deliveries.items = [
            at(DELIVERY, 1, told(DELIVERY, obligations=ONE_HOUR)),
            at(ROUTINE, 9, told(ROUTINE, urgent=False, obligations=TWO_DAYS)),
            at(LATER, 10, told(LATER, urgent=False)),
        ]
        found = await rows(harness)
        assert [name for name, _ in found] == ["21", "a1", "a2"], (
            "urgent, then what must be accepted by a time, then the rest"
        )
        assert ["Urgent" in line for _, line in found] == [True, False, False]
        assert all("Not opened here yet" in line and "New" in line for _, line in found), (
            "the portal's own look opens nothing for anybody"
        )
        assert "21 November 2026 at 3:01am" in found[0][1]
        assert "NM-7F3K" not in str(found), "the case is named once a person has opened it"
        assert await rows(harness) == found
        assert not harness.recorder.entries, (
            "sharing accounts for the look at the list; nobody has opened anything"
        )
        await harness.get(f"/deliveries/{DELIVERY}")
        opened = (await rows(harness))[0][1]
        assert "Urgent" in opened
        assert "Opened" in opened
        assert "NM-7F3K-9QXA-2C4T" in opened


async def test_among_equals_the_newest_stands_first_and_the_accepted_last(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        harness.deliveries.items = [
            at(DELIVERY, 1, told(DELIVERY), state="acknowledged"),
            at(ROUTINE, 2, told(ROUTINE, urgent=False)),
            at(LATER, 3, told(LATER, urgent=False)),
        ]
        assert [name for name, _ in await rows(harness)] == ["a2", "a1", "21"]


@pytest.mark.parametrize("value", [None, b"{}", told(LATER)])
async def test_what_does_not_verify_is_listed_and_says_nothing_of_itself(
    tmp_path: Path, value: bytes | None
) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        harness.deliveries.items = [at(DELIVERY, 1, value)]
        ((_, line),) = await rows(harness)
        assert "Urgent" not in line
        assert "New" in line
        assert not harness.summaries.kept


async def test_an_agency_with_its_own_keys_sees_its_list_and_no_rule_about_opening(
    tmp_path: Path,
) -> None:
    async with portal_harness(envelope(package()), tmp_path, agency="northmoor-police") as harness:
        ((_, line),) = await rows(harness)
        assert "To accept" in line
        assert "New " not in line.replace("New referral", ""), "its own system may have opened it"
        text = (await harness.get("/work")).text
        assert "case reference shows once" not in text
        assert "shows only in your own system. Look there now." in text


async def test_a_kept_promise_is_one_line_with_its_newest_standing(tmp_path: Path) -> None:
    async with portal_harness(envelope(promised()), tmp_path) as harness:
        inbox = harness.deliveries
        inbox.items = [at(DELIVERY, 1, envelope(promised()))]
        assert "Promised" in (await rows(harness))[0][1]
        await harness.get(f"/deliveries/{DELIVERY}")
        inbox.items.append(at(DELIVERY, 5, envelope(package()), kind="notice"))
        ((_, line),) = await rows(harness)
        assert "New referral" in line
        assert "2:01am" in line, "it came when it first came"
        assert "Promised" not in line


async def test_what_left_in_an_emergency_is_urgent_while_promised_and_after(tmp_path: Path) -> None:
    calm = {**CONTENT, "urgent": False, "obligations": TWO_DAYS}
    async with portal_harness(envelope(promised(calm)), tmp_path) as harness:
        inbox = harness.deliveries
        inbox.items = [
            at(DELIVERY, 1, envelope(promised(calm))),
            at(ROUTINE, 9, told(ROUTINE, urgent=False, obligations=TWO_DAYS)),
        ]
        for _ in range(2):
            first, second = await rows(harness)
            assert first[0] == "21"
            assert "Urgent" in first[1]
            assert "21 November 2026 at 3:01am" in first[1], (
                "an hour, like danger that says so itself"
            )
            assert "Urgent" not in second[1]
            page = (await harness.get(f"/deliveries/{DELIVERY}")).text
            assert "Urgent" in page
            assert "Accept by 21 November 2026 at 3:01am" in page
        inbox.items.append(at(DELIVERY, 30, envelope(package(calm)), kind="notice"))
        for fresh in (False, True):
            if fresh:
                harness.summaries.kept.clear()
            first = (await rows(harness))[0]
            assert first[0] == "21", "the proof has followed; the danger has not passed"
            assert "Urgent" in first[1]
            assert "3:01am" in first[1]
            assert "Promised" not in first[1]
            assert "Urgent" in (await harness.get(f"/deliveries/{DELIVERY}")).text


async def test_the_page_of_a_proof_is_still_that_of_an_emergency(tmp_path: Path) -> None:
    async with portal_harness(envelope(package({**CONTENT, "urgent": False})), tmp_path) as harness:
        harness.deliveries.stand(kind="notice")
        assert "Urgent" in (await harness.get(f"/deliveries/{DELIVERY}")).text


async def test_a_fuller_referral_is_called_so_presses_and_is_named_on_the_urgent_one(
    tmp_path: Path,
) -> None:
    same = {"caseReference": CONTENT["caseReference"], "urgent": False, "obligations": TWO_DAYS}
    async with portal_harness(envelope(package()), tmp_path) as harness:
        inbox = harness.deliveries
        inbox.items = [
            at(DELIVERY, 1, told(DELIVERY, obligations=ONE_HOUR, safeContact=UNKNOWN)),
            at(ROUTINE, 9, told(ROUTINE, **same, kind="correction"), kind="correction"),
        ]
        first, second = await rows(harness)
        assert (first[0], second[0]) == ("21", "a1")
        assert "Fuller referral" in second[1]
        assert "Urgent" in second[1], "whoever goes there should read it before the older one"
        assert "NM-7F3K" not in str((first, second)), (
            "the case is still named only once a person has opened it"
        )
        page = (await harness.get(f"/deliveries/{DELIVERY}")).text
        assert "Do not contact anybody by this page</h2>" in page
        assert (
            f'href="/deliveries/{ROUTINE}">A newer delivery on this case came on 21 November 2026 '
            "at 2:09am</a>" in page
        )
        assert (
            "A newer delivery replaces what is safe. Do not contact anybody by this page." in page
        )
        newer = (await harness.get(f"/deliveries/{ROUTINE}")).text
        assert "Fuller referral" in newer
        assert "Urgent\n" in newer, "as the list says"
        assert "This adds to the urgent report. The danger stands." in newer
        assert "A newer delivery" not in newer
        inbox.items.append(at(LATER, 12, told(LATER, **same), kind="correction"))
        lines = dict(await rows(harness))
        assert "Correction" in lines["a2"], "what changes after that corrects"
        assert "Urgent" in lines["a2"]
        assert "Fuller referral" in lines["a1"]
        assert "Urgent" not in lines["a1"]
        inbox.items[0] = at(DELIVERY, 1, told(DELIVERY), state="acknowledged")
        assert "Urgent" not in dict(await rows(harness))["a2"], "the danger was taken up"


async def test_an_unreadable_delivery_stands_alone(tmp_path: Path) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        harness.deliveries.items = [
            at(DELIVERY, 1, told(DELIVERY)),
            at(ROUTINE, 2, b"{}"),
            at(LATER, 3, None),
        ]
        assert ["Urgent" in line for _, line in await rows(harness)] == [True, False, False]
        assert "A newer delivery" not in (await harness.get(f"/deliveries/{DELIVERY}")).text


async def test_the_list_says_as_of_when_and_renews_itself_without_keeping_the_visit(
    tmp_path: Path,
) -> None:
    async with portal_harness(envelope(package()), tmp_path) as harness:
        harness.deliveries.items = []
        text = (await harness.get("/work")).text
        assert f'As of <b class="hub-as-of">{time_of_day(harness.clock.now())}</b>' in text
        assert (
            '<noscript><meta http-equiv="refresh" content="60; url=/work/renewed"></noscript>'
            in text
        )
        assert 'data-from="/work/renewed"' in text
        still = (await harness.get("/work?still=yes")).text
        assert "As of" in still
        assert "http-equiv" not in still
        assert "hub-renewal" not in still
        harness.deliveries.items = [at(DELIVERY, 1, told(DELIVERY))]
        spent = timedelta(0)
        while spent < IDLE:
            renewed = await harness.get("/work/renewed")
            assert renewed.status_code == 200
            assert "Urgent" in renewed.text
            assert (
                f'As of <b class="hub-as-of">{time_of_day(harness.clock.now())}</b>' in renewed.text
            )
            assert 'href="/work" aria-current="page"' in renewed.text
            harness.clock.advance(timedelta(minutes=1))
            spent += timedelta(minutes=1)
        harness.clock.advance(timedelta(seconds=1))
        assert (await harness.get("/work/renewed")).status_code == 401, (
            "a screen left alone signs out all the same"
        )


@pytest.mark.parametrize(
    ("code", "delivered", "by"),
    [
        ("acknowledge-one-hour", "2026-11-21T02:05:00Z", "2026-11-21T03:05:00+00:00"),
        ("acknowledge-two-days", "2026-11-19T10:00:00Z", "2026-11-23T10:00:00+00:00"),
        ("acknowledge-two-days", "2026-11-21T10:00:00Z", "2026-11-24T10:00:00+00:00"),
    ],
)
def test_the_time_to_accept_is_what_the_clause_asks(code: str, delivered: str, by: str) -> None:
    found = accept_by({code, "safe-contact-only"}, datetime.fromisoformat(delivered))
    assert found is not None
    assert found.isoformat() == by
    assert accept_by({"safe-contact-only"}, datetime.fromisoformat(delivered)) is None
