"""Two identity processes on one PostgreSQL database: what counts once counts once between them."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.stack.postgres import PostgresServer
from tests.support.identity_stage import ISSUER, Stage, identity_stage

pytestmark = pytest.mark.stack
VERIFIER = "v" * 50


@pytest.fixture
async def pair(
    postgres_server: PostgresServer, tmp_path: Path
) -> AsyncIterator[tuple[Stage, Stage]]:
    url = postgres_server.database(f"t{secrets.token_hex(8)}")
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(identity_stage(tmp_path, url))
        other = await stack.enter_async_context(identity_stage(tmp_path, url))
        yield one, other


async def test_one_code_redeemed_in_parallel_at_both_gives_one_token_set(
    pair: tuple[Stage, Stage],
) -> None:
    one, other = pair
    portal = one.portal()
    for _ in range(5):
        code = await one.code(portal, VERIFIER, one.person("idva"))
        answers = await asyncio.gather(
            *((one, other)[turn % 2].redeem(portal, code, VERIFIER) for turn in range(10))
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * 9


async def test_an_assertion_and_a_proof_count_once_between_both(pair: tuple[Stage, Stage]) -> None:
    one, _ = pair
    police = one.system("northmoor-police")
    same = {"scope": "referral.write", "client_assertion": police.assertion()}
    answers = await asyncio.gather(*(stage.token(police, **same) for stage in pair))
    assert sorted(answer.status_code for answer in answers) == [200, 401]
    proof = police.proof(f"{ISSUER}/token")
    answers = await asyncio.gather(
        *(stage.token(police, scope="referral.write", dpop=proof) for stage in pair)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 400]


async def test_a_request_is_completed_once_between_both(pair: tuple[Stage, Stage]) -> None:
    one, other = pair
    pushed = (await one.push(one.portal(), VERIFIER)).json()["request_uri"]
    answers = await asyncio.gather(
        *(stage.click(pushed, one.person("idva")) for stage in (one, other, one, other))
    )
    assert sorted(answer.status_code for answer in answers) == [303, 400, 400, 400]


async def test_a_suspension_at_one_stops_tokens_at_the_other(pair: tuple[Stage, Stage]) -> None:
    one, other = pair
    operator = one.tool("operator")
    token = (await one.token(operator, scope="agency.manage", resource=ISSUER)).json()[
        "access_token"
    ]
    path = "/v1/agencies/northmoor-police/suspension"
    assert (
        await one.call(operator, token, "POST", path, json={"reasonCode": "exercise"})
    ).status_code == 200
    refused = await other.token(other.system("northmoor-police"), scope="referral.write")
    assert refused.json()["error"] == "unauthorized_client"
