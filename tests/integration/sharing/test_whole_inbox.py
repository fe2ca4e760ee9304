"""An agency reads its inbox to the end, and waits as long as the documents say."""

from pathlib import Path

from hubpartner.cli.inbox import LONGEST_WAIT
from tests.support.inner_hub import URGENT, inner_hub
from tests.support.road import until

IDVA = "northmoor-idva"


async def test_the_pages_end_with_the_newest_and_the_longest_wait_is_allowed(
    tmp_path: Path,
) -> None:
    async with inner_hub(tmp_path) as hub:
        for number in range(3):
            await hub.submit({**URGENT, "externalReference": f"NP-2026-{number:06}"})

        async def all_there() -> bool:
            return len((await hub.client(IDVA).inbox(limit=100)).items) == 3

        await until(all_there)
        pages = [page async for page in hub.client(IDVA).inbox_pages(limit=2, wait=30)]
        assert [len(page.items) for page in pages] == [2, 1]
        assert len({item.delivery_id for page in pages for item in page.items}) == 3
        again = [page async for page in hub.client(IDVA).inbox_pages(cursor=pages[-1].cursor)]
        assert [page.items for page in again] == [()]
        for wait, status in ((LONGEST_WAIT, 200), (LONGEST_WAIT + 1, 422)):
            answer = await hub.call(
                IDVA, "GET", "sharing", f"/v1/inbox?wait={wait}", scope="disclosure.read"
            )
            assert answer.status_code == status
