"""Completing an urgent referral at the real routes: what was sent arrives, what was shielded stays
so, and no reference stands in its way."""

import asyncio
import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hubformats.ids import opaque
from hubpartner.client import InboxItem
from tests.support.inner_hub import FULL, URGENT, InnerHub, inner_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDVA, SOCIAL_CARE = "northmoor-idva", "northmoor-social-care"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub")) as made:
        yield made


def fresh(form: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The form under a reference of its own."""
    return {**copy.deepcopy(form), "externalReference": f"T-{opaque(9)}", **changes}


async def sent(hub: InnerHub, form: dict[str, Any]) -> dict[str, Any]:
    """The answer to a referral that is accepted and has been told to whom it may be."""
    answer = await hub.submit(form)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    assert await hub.outcomes(body["referralId"]) == {"released"}
    return body


async def told(hub: InnerHub, agency: str, words: str, kind: str) -> dict[str, list[Any]]:
    """What the agency's newest delivery of this kind with these words says, as values by
    category.
    """
    client = hub.client(agency)
    for _ in range(100):
        items: list[InboxItem] = []
        cursor: str | None = None
        while (page := await client.inbox(limit=50, cursor=cursor)).items:
            items, cursor = [*items, *page.items], page.cursor
        contents = [client.open(item).verdict.content for item in items if item.kind == kind]
        ours = [content for content in contents if words in str(content)]
        if ours:
            return {
                section["category"]: [item["value"] for item in section["items"]]
                for section in ours[-1]["sections"]
            }
        await asyncio.sleep(0.05)
    raise AssertionError("nothing of that kind came")


async def test_the_danger_reaches_whoever_is_told_when_the_full_form_comes(hub: InnerHub) -> None:
    danger = f"He has a knife ({opaque(6)})."
    urgent = await sent(hub, fresh(URGENT, danger=danger, place="The old mill"))
    full = fresh(FULL, completes=urgent["referralId"])
    full["people"][0]["addresses"][0]["shielded"] = False
    await sent(hub, full)
    idva = await told(hub, IDVA, danger, "correction")
    assert (idva["danger_summary"], idva["danger_place"], idva["callback"]) == (
        [danger],
        ["The old mill"],
        ["Do not call"],
    )
    assert (await told(hub, SOCIAL_CARE, danger, "disclosure"))["danger_summary"] == [danger]


async def test_a_place_shielded_at_night_is_still_taken_out_of_texts_in_the_morning(
    hub: InnerHub,
) -> None:
    mark = opaque(6)
    urgent = await sent(
        hub,
        fresh(
            URGENT,
            place="8 Corran Steps",
            placeShielded=True,
            danger=f"He found her at Corran Steps ({mark}).",
        ),
    )
    full = fresh(FULL, completes=urgent["referralId"])
    full["people"][0]["addresses"] = []
    full["risk"]["answers"][1]["note"] = "She hides at 8 Corran Steps."
    await sent(hub, full)
    idva = await told(hub, IDVA, mark, "correction")
    assert idva["danger_summary"] == [f"He found her at [removed] ({mark})."]
    assert [words for words in idva["risk_answers"] if "She hides" in words] == [
        "Yes (said by: victim). She hides at [removed]."
    ]
    assert "danger_place" not in idva
    assert "corran" not in str(idva).casefold()


async def test_an_urgent_referral_is_completed_once(hub: InnerHub) -> None:
    """A second form may be another family's, which nobody must read as a correction of this one."""
    urgent = await sent(hub, fresh(URGENT))
    await sent(hub, fresh(FULL, completes=urgent["referralId"]))
    other = fresh(FULL, completes=urgent["referralId"])
    other["people"][0]["name"] = {"full": f"Leocadia Thornquist {opaque(6)}"}
    answer = await hub.submit(other)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/completes")
    alone = await sent(hub, {name: value for name, value in other.items() if name != "completes"})
    assert alone["caseReference"] != urgent["caseReference"]


@pytest.mark.parametrize(
    "change", [{}, {"reason": "Said in other words."}, {"externalReference": "T-another-number"}]
)
async def test_the_completing_form_sent_again_is_told_what_it_became(
    hub: InnerHub, change: dict[str, Any]
) -> None:
    """Under its reference, or word for word under another: an honest retry must not become a second
    case.
    """
    urgent = await sent(hub, fresh(URGENT))
    form = fresh(FULL, completes=urgent["referralId"])
    became = await sent(hub, form)
    for path in ("/v1/referrals", "/v1/referrals?dryRun=true"):
        answer = await hub.submit({**form, **change}, path=path)
        body = answer.json()
        assert (answer.status_code, body["code"], body["referralId"]) == (
            409,
            "already-completed",
            became["referralId"],
        )
        assert became["referralId"] in body["detail"]
        assert "of its own" not in answer.text


async def test_danger_is_never_refused_for_its_reference(hub: InnerHub) -> None:
    """One incident, one number: new danger under it, and the full forms that complete both, are
    taken in on the right case.
    """
    number = f"INC-{opaque(6)}"
    first, second = [
        await sent(hub, fresh(URGENT, externalReference=number, danger=danger))
        for danger in ("At the door.", "Inside.")
    ]
    assert first["caseReference"] != second["caseReference"], "it may be about another woman"
    for urgent in (first, second):
        full = await sent(
            hub, fresh(FULL, externalReference=number, completes=urgent["referralId"])
        )
        assert (full["caseReference"], full["externalReference"]) == (
            urgent["caseReference"],
            number,
        )
    assert (await sent(hub, fresh(URGENT, externalReference=number)))["externalReference"] == number


async def test_a_full_form_that_stands_alone_counts_once(hub: InnerHub) -> None:
    form = fresh(FULL)
    await sent(hub, form)
    answer = await hub.submit(form)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (
        409,
        "external-reference-exists",
    )
    assert await hub.outcomes(
        (await hub.submit(fresh(URGENT, externalReference=form["externalReference"]))).json()[
            "referralId"
        ]
    ) == {"released"}


async def test_social_care_is_told_who_the_child_of_the_household_is(hub: InnerHub) -> None:
    form, name = fresh(FULL), f"Peregrine Ashdown {opaque(6)}"
    form["people"][2] |= {"role": "household_member", "name": {"full": name}}
    await sent(hub, form)
    told_it = await told(hub, SOCIAL_CARE, name, "disclosure")
    assert name in told_it["child_identity"]
