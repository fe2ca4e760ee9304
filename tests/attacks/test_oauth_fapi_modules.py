"""FAPI 2.0 server modules of the OpenID conformance suite that no other test bears by name."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from hubformats.keys import generate_signing
from tests.support.identity_stage import CALLBACK, ISSUER, Party, Stage, identity_stage
from tests.support.modes import Mode

VERIFIER = "v" * 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture
async def stage(folder: Path, tmp_path: Path, mode: Mode) -> AsyncIterator[Stage]:
    async with identity_stage(folder, mode.url(tmp_path / "identity.db")) as made:
        yield made


@pytest.fixture
def portal(stage: Stage) -> Party:
    return stage.portal()


async def test_client_assertion_with_no_sub_fails(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    assertion = police.assertion(without=("sub",))
    answer = await stage.token(police, scope="referral.write", client_assertion=assertion)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_signed_client_assertion_with_rs256_fails(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    assertion = police.assertion(header={"alg": "RS256"})
    answer = await stage.token(police, scope="referral.write", client_assertion=assertion)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("audience", [[ISSUER], [ISSUER, f"{ISSUER}/par"], f"{ISSUER}/par"])
async def test_par_endpoint_as_audience_and_as_array_audience_fails(
    stage: Stage, portal: Party, audience: object
) -> None:
    assertion = portal.assertion({"aud": audience})
    answer = await stage.push(portal, VERIFIER, {"client_assertion": assertion})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_par_without_duplicate_parameters(stage: Stage, portal: Party) -> None:
    """`/authorize` takes client and request_uri alone; what is pushed twice is refused."""
    pushed = await stage.push(portal, VERIFIER)
    asked = {"client_id": "portal", "request_uri": pushed.json()["request_uri"]}
    page = await stage.http.get(f"{ISSUER}/authorize", params=asked)
    assert page.status_code == 200
    form = portal.form(response_type="code", redirect_uri=CALLBACK, scope="case.read", state="st-1")
    twice = urlencode([*form.items(), ("scope", "disclosure.read")])
    answer = await stage.post("/par", twice, DPoP=portal.proof(f"{ISSUER}/par"))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_authorization_code_is_bound_to_client(stage: Stage, portal: Party) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    stranger = stage.system("northmoor-police")
    answer = await stage.redeem(stranger, code, VERIFIER)
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_grant", "unauthorized_client"}
    assert "access_token" not in answer.text


async def test_dpop_auth_code_binding_success(stage: Stage, portal: Party) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"), dpop_jkt=portal.dpop.kid)
    answer = await stage.redeem(portal, code, VERIFIER)
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "DPoP"
    code = await stage.code(
        portal, VERIFIER, stage.person("idva"), dpop_jkt=generate_signing("other").kid
    )
    assert (await stage.redeem(portal, code, VERIFIER)).json()["error"] == "invalid_grant"
