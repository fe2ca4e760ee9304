"""The work list: danger at the door stands first before anybody has opened it, and a kept promise is one line."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from portal.domain.delivery import Waiting, accept_by
from tests.support.portal_bed import CONTENT, DELIVERY, SECRET_NAME, PortalBed, envelope, package, portal_bed, promised

ROUTINE = UUID("01932000-0000-7000-8000-0000000000a1")
LATER = UUID("01932000-0000-7000-8000-0000000000a2")
ONE_HOUR = [{"code": "acknowledge-one-hour", "text": "Acknowledge within one hour."}]
TWO_DAYS = [{"code": "acknowledge-two-days", "text": "Acknowledge within two working days."}]


def told(delivery_id: UUID, **changes: Any) -> bytes:
    """A sound delivery under this id."""
    made = package({**CONTENT, "deliveryId": str(delivery_id), **changes}, delivery_id=delivery_id)
    return envelope(made)


def at(delivery_id: UUID, minute: int, value: bytes | None, state: str = "delivered", kind: str = "disclosure") -> Waiting:
    """As the inbox lists it."""
    when = f"2026-11-21T02:{minute:02}:00Z"
    return Waiting(str(delivery_id), kind, state, when, value, saved_at=when if state == "acknowledged" else "")


async def rows(bed: PortalBed) -> list[tuple[str, str]]:
    """The end of each listed id, and the words of its line."""
    text = (await bed.get("/work")).text
    assert SECRET_NAME not in text
    found = re.findall(r'<tr class="govuk-table__row">(.*?)</tr>', text, re.DOTALL)
    lines = [one for one in found if "/deliveries/" in one]
    return [(re.findall(r"/deliveries/[0-9a-f-]*(..)\"", one)[0], " ".join(re.sub(r"<[^>]+>", " ", one).split())) for one in lines]


async def test_an_unopened_urgent_delivery_says_so_and_stands_first(tmp_path: Path) -> None:
    async with portal_bed(envelope(package()), tmp_path) as bed:
        bed.hub.listed = [
            at(DELIVERY, 1, told(DELIVERY, obligations=ONE_HOUR)),
            at(ROUTINE, 9, told(ROUTINE, urgent=False, obligations=TWO_DAYS)),
            at(LATER, 10, told(LATER, urgent=False)),
        ]
        found = await rows(bed)
        assert [name for name, _ in found] == ["21", "a1", "a2"], "urgent, then what must be accepted by a time, then the rest"
        assert ["Urgent" in line for _, line in found] == [True, False, False]
        assert all("Not opened yet" in line and "New" in line for _, line in found), "the portal's own look opens nothing for anybody"
        assert "21 November 2026 at 3:01am" in found[0][1]
        assert "NM-7F3K" not in str(found), "the case is named once a person has opened it"
        assert await rows(bed) == found
        assert not bed.recorder.entries, "sharing accounts for the look at the list; nobody has opened anything"
        await bed.get(f"/deliveries/{DELIVERY}")
        opened = (await rows(bed))[0][1]
        assert "Urgent" in opened
        assert "Opened" in opened
        assert "NM-7F3K-9QXA-2C4T" in opened


async def test_among_equals_the_newest_stands_first_and_the_accepted_last(tmp_path: Path) -> None:
    async with portal_bed(envelope(package()), tmp_path) as bed:
        bed.hub.listed = [
            at(DELIVERY, 1, told(DELIVERY), state="acknowledged"),
            at(ROUTINE, 2, told(ROUTINE, urgent=False)),
            at(LATER, 3, told(LATER, urgent=False)),
        ]
        assert [name for name, _ in await rows(bed)] == ["a2", "a1", "21"]


@pytest.mark.parametrize("value", [None, b"{}", told(LATER)])
async def test_what_does_not_verify_is_listed_and_says_nothing_of_itself(tmp_path: Path, value: bytes | None) -> None:
    async with portal_bed(envelope(package()), tmp_path) as bed:
        bed.hub.listed = [at(DELIVERY, 1, value)]
        ((_, line),) = await rows(bed)
        assert "Urgent" not in line
        assert "New" in line
        assert not bed.shelf.kept


async def test_an_agency_with_its_own_keys_sees_its_list_and_no_rule_about_opening(tmp_path: Path) -> None:
    async with portal_bed(envelope(package()), tmp_path, agency="northmoor-police") as bed:
        assert len(await rows(bed)) == 1
        assert "case reference shows once" not in (await bed.get("/work")).text


async def test_a_kept_promise_is_one_line_with_its_newest_standing(tmp_path: Path) -> None:
    async with portal_bed(envelope(promised()), tmp_path) as bed:
        hub = bed.hub
        hub.listed = [at(DELIVERY, 1, hub.value)]
        assert "Promised" in (await rows(bed))[0][1]
        await bed.get(f"/deliveries/{DELIVERY}")
        hub.listed.append(at(DELIVERY, 5, envelope(package()), kind="notice"))
        ((_, line),) = await rows(bed)
        assert "Disclosure" in line
        assert "2:01am" in line, "it came when it first came"
        assert "Promised" not in line


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
