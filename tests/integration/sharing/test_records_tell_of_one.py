"""A record tells its recipient of nobody else: no id, no count and no number of leaves does."""

from uuid import UUID

import pytest
from sqlalchemy import func, select

from common.audit_trail.tables import PENDING
from hubformats.audit_record import related
from sharing.tables import METADATA
from tests.support.sharing_harness import SharingHarness
from tests.support.snapshots import marking, snapshot

IDVA, CARE, SUPPORT, POLICE = (
    "northmoor-idva",
    "northmoor-social-care",
    "northmoor-victim-support",
    "northmoor-police",
)
SAME = {"v", "op", "out", "svc", "org", "role", "rt", "ag", "agv", "hum", "sw", "cfg", "cks", "te"}
"""What is the same in every record of its kind, whoever it is about."""
CODES = {"pu", "cl", "fs", "dlb", "dsp", "dgw", "rlb", "rsp"}
"""Codes of the clause, which two recipients may have in common."""


async def test_two_recipients_records_share_nothing_that_says_it_was_one_decision(
    harness: SharingHarness,
) -> None:
    await harness.take(snapshot())
    entries = [one for one in await harness.records() if one["op"] == "disclosure"]
    for one in entries:
        assert not {"rv", "lb", "cond", "gw"} & one.keys()
        for other in entries:
            if one is not other:
                alike = {name for name in one if other.get(name) == one[name]}
                assert alike <= SAME | CODES | {"subn"}
    told = {one["rcp"]: one for one in entries}
    assert (told[CARE]["dlb"], told[CARE]["rlb"], told[CARE]["rsp"]) == (
        "P3_necessary",
        "6e",
        "9g_para18",
    )
    assert (told[IDVA]["hum"], told[IDVA]["agv"]) == ("none", "1.2")


async def test_every_decision_joins_one_entry_for_each_agency_it_answers_for(
    harness: SharingHarness,
) -> None:
    """Inside the hub, by a secret that only sharing has; outside, by nobody."""
    await harness.take(snapshot())
    await harness.take(snapshot(version=2, markings=(marking("must_not_disclose", agency=IDVA),)))
    made = await harness.database.read(
        lambda connection: (
            connection.execute(select(METADATA.tables["decision"].c.id)).scalars().all()
        )
    )
    entries = [one for one in await harness.records() if one["op"] == "disclosure"]
    named = sorted(
        (harness.deciding.decision_name(decision, agency), agency)
        for decision in made
        for agency in (IDVA, CARE, SUPPORT, POLICE)
    )
    assert len(made) == 2
    assert sorted((one["dec"], one["rcp"]) for one in entries) == named
    assert not {str(one) for one in made} & {one["dec"] for one in entries}


async def test_what_became_of_a_disclosure_names_the_entry_that_allowed_it(
    harness: SharingHarness,
) -> None:
    made = (await harness.take(snapshot()))[IDVA]
    await harness.receipt(made.record_id)
    await harness.releases.step()
    (left,) = [one for one in await harness.records() if one["op"] == "delivered"]
    assert left["rel"] == [related(UUID(left["id"]), made.record_id)]
    assert left["dec"] == harness.deciding.decision_name(made.decision_id, IDVA)


@pytest.mark.parametrize("barred", [(), (IDVA,), (IDVA, CARE), (SUPPORT, CARE)])
async def test_the_number_of_leaves_is_the_same_however_many_are_told(
    harness: SharingHarness, barred: tuple[str, ...]
) -> None:
    """On a quiet hub, where nothing else is written."""
    before = await leaves(harness)
    vetoes = tuple(
        marking("must_not_disclose", number, agency=agency) for number, agency in enumerate(barred)
    )
    harness.checks.vetoes = vetoes
    made = await harness.take(snapshot(markings=vetoes))
    decided = await leaves(harness)
    for one in made.values():
        await harness.receipt(one.record_id)
    await harness.releases.step()
    sent = [one for one in await harness.records() if one["op"] == "delivered"]
    assert len(sent) == len(made) == 3 - len(barred)
    assert (decided - before, await leaves(harness) - decided) == (8, 8)


async def leaves(harness: SharingHarness) -> int:
    """Records that sharing wrote, each of which is a leaf."""
    counted = select(func.count()).select_from(PENDING)
    return int(
        await harness.database.read(lambda connection: connection.execute(counted).scalar_one())
    )
