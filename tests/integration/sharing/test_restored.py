"""A whole hub: an agency suspended at the moment of deciding gets its part once it is restored,
once and proven."""

from pathlib import Path

from sharing.decisions.use_cases.run import DecisionContext
from tests.support.inner_hub import FULL, InnerHub, inner_hub
from tests.support.road import until

IDVA, CARE = "northmoor-idva", "northmoor-social-care"


async def heard(hub: InnerHub, *, suspended: bool) -> None:
    """Wait until sharing's copy of the directory says so."""
    directory = hub.service("sharing").app.provisions.get(DecisionContext).directory

    async def says() -> bool:
        return (
            next(agency for agency in directory.agencies() if agency.id == IDVA).suspended
            is suspended
        )

    await until(says)


async def states(hub: InnerHub, referral_id: str) -> dict[str, str]:
    """What the referrer reads, by recipient."""
    read = await hub.call(
        "northmoor-police", "GET", "referral", f"/v1/referrals/{referral_id}", scope="referral.read"
    )
    return {each["recipient"]: each["state"] for each in read.json()["outcomes"]}


async def test_restoring_an_agency_gives_it_what_it_missed_once(tmp_path: Path) -> None:
    async with inner_hub(tmp_path) as hub:
        operator = hub.client("operator")
        await operator.suspend(IDVA, "exercise")
        await heard(hub, suspended=True)
        sent = (await hub.submit(FULL)).json()

        async def is_released(agency: str) -> bool:
            return (await states(hub, sent["referralId"])).get(agency) == "released"

        await until(lambda: is_released(CARE))
        assert IDVA not in await states(hub, sent["referralId"])
        await operator.restore(IDVA, "exercise-ended")
        await until(lambda: is_released(IDVA))
        items = (await hub.client(IDVA).inbox(wait=5)).items
        assert len(items) == 1
        opened = hub.client(IDVA).open(items[0])
        assert opened.verdict.standing == "proven"
        assert len((await hub.client(CARE).inbox()).items) == 1, (
            "whoever had it hears nothing again"
        )
        assert hub.rows("sharing", "SELECT count(*) FROM decision") == [(2,)]
        assert hub.rows("sharing", "SELECT count(*) FROM passed_over") == [(0,)]
