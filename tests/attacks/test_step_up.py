"""A fresh sign-in cannot be faked: it is a whole new one, and says by which means (RFC 9470)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.identity_stage import (
    ISSUER,
    Party,
    Stage,
    claims_of,
    identity_stage,
    location,
)
from tests.support.modes import Mode

VERIFIER = "v" * 50


@pytest.fixture
async def stage(tmp_path: Path, mode: Mode) -> AsyncIterator[Stage]:
    async with identity_stage(tmp_path / "hub", mode.url(tmp_path / "identity.db")) as made:
        yield made


@pytest.fixture
def portal(stage: Stage) -> Party:
    return stage.portal()


async def test_a_second_sign_in_is_a_new_one_and_says_by_which_means(
    stage: Stage, portal: Party
) -> None:
    """RFC 9470: whoever signed in an hour ago clicks again, and the token tells the new moment."""
    amina = stage.person("idva")
    await stage.code(portal, VERIFIER, amina)
    stage.clock.advance(3600)
    wanted = {"acr_values": "urn:hub:acr:passkey urn:hub:acr:demo", "max_age": "900"}
    code = await stage.code(portal, VERIFIER, amina, **wanted, prompt="login")
    claims = claims_of((await stage.redeem(portal, code, VERIFIER)).json()["access_token"])
    assert claims["auth_time"] == int(stage.clock.now().timestamp())
    assert claims["acr"] in wanted["acr_values"].split()


async def test_a_weaker_sign_in_is_never_passed_off_as_a_stronger(
    stage: Stage, portal: Party
) -> None:
    pushed = await stage.push(portal, VERIFIER, {"acr_values": "urn:hub:acr:passkey"})
    back = location(await stage.click(pushed.json()["request_uri"], stage.person("idva")))
    assert (back["error"], back["state"], back["iss"]) == (
        "unmet_authentication_requirements",
        "st-1",
        ISSUER,
    )
    assert stage.sent.entries[-1].reason_code == "acr-not-met"
    metadata = (await stage.http.get(f"{ISSUER}/.well-known/oauth-authorization-server")).json()
    assert metadata["acr_values_supported"] == ["urn:hub:acr:demo"]
