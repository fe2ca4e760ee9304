"""Referral's ports of one kind, in memory or on a database, and a referral taken in through them."""

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from pydantic import TypeAdapter

from common.attempts import Attempt
from deploy.stack.postgres import PostgresServer
from referral.intake import use_cases
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from referral.intake.use_cases import Intake
from referral.wiring import ReferralStore
from tests.support.referral_fakes import CONTEXT, POLICE, RULES, FakeStore, granted
from tests.support.referral_forms import full, urgent
from tests.support.referral_harness import referral_harness

READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["fake", "sqlite", "postgresql"]
)
async def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ReferralStore]:
    """The store of one kind."""
    if request.param == "fake":
        yield cast(ReferralStore, FakeStore())
        return
    url = None
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    folder: Path = tmp_path_factory.mktemp("referral")
    async with referral_harness(folder, url) as harness:
        yield harness.store


async def sent(store: ReferralStore, form: dict[str, Any], agency: str = POLICE) -> Intake:
    """A referral taken in, under a reference of its own unless the form has one."""
    form = {"externalReference": f"T-{secrets.token_hex(6)}", **form}
    attempt = Attempt(secrets.token_bytes(32), b"r")
    read = READ.validate_python(form)
    return await store.write(
        lambda tx: use_cases.submit_referral(tx, granted(agency), read, attempt, CONTEXT, RULES)
    )


def without_reference(form: dict[str, Any]) -> dict[str, Any]:
    """The form, so that `sent` makes up its reference."""
    return {name: value for name, value in form.items() if name != "externalReference"}


FULL, URGENT = without_reference(full()), without_reference(urgent())
