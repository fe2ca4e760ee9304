"""What a referrer is not shown, and what the desk is shown because nothing else would tell it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from common.problems import Problem
from hubformats.audit_record import Actor
from sharing.usecases import deciding
from tests.support.sharing_bed import Bed
from tests.support.snapshots import CASE, snapshot

POLICE, IDVA = "northmoor-police", "northmoor-idva"
ACTOR = Actor(subject="issuer|police-system", agency=POLICE)


@pytest.mark.parametrize(
    "look",
    [
        lambda bed, tx, name: deciding.preview(tx, bed.desk, bed.referrer(), ACTOR, name),
        lambda bed, tx, name: deciding.disclosures_of(tx, bed.referrer(), ACTOR, name),
    ],
    ids=["preview", "disclosures"],
)
async def test_who_reported_for_a_third_party_learns_only_that_it_arrived(
    bed: Bed, look: Callable[..., Any]
) -> None:
    name = bed.desk.reference(POLICE, CASE)
    await bed.take(snapshot(source="partner"))
    assert await bed.store.write(lambda tx: look(bed, tx, name))
    await bed.take(snapshot(source="third_party", version=2))
    before = len(await bed.records())
    with pytest.raises(Problem, match="not-found"):
        await bed.store.write(lambda tx: look(bed, tx, name))
    assert len(await bed.records()) == before


async def test_a_preview_can_be_searched_for_by_the_case(bed: Bed) -> None:
    name = bed.desk.reference(POLICE, CASE)
    await bed.take(snapshot())
    await bed.store.write(lambda tx: deciding.preview(tx, bed.desk, bed.referrer(), ACTOR, name))
    assert [
        each["rt"] for each in await bed.found("case", name) if each["op"] == "consultation"
    ] == ["decision-preview"]


async def test_what_a_suspension_withheld_is_shown_to_the_desk(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    bed.parties.suspended.add(IDVA)
    with caplog.at_level(logging.WARNING, "hub.sharing"):
        assert IDVA not in await bed.take(snapshot())
    assert [(r.__dict__["alarm"], r.__dict__["recipient"]) for r in caplog.records] == [
        ("withheld-while-suspended", IDVA)
    ]
    bed.parties.suspended.clear()
    withheld = await bed.store.read(lambda view: view.withheld_while_suspended())
    assert [(each.recipient, each.count) for each in withheld] == [(IDVA, 1)]
    await bed.take(snapshot(version=2))
    assert await bed.store.read(lambda view: view.withheld_while_suspended()) == ()
