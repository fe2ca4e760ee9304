"""Client authentication and access tokens under attack: FAPI 2.0 negative tests by the conformance
suite's names."""

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubformats.keys import generate_signing
from tests.support.identity_stage import ISSUER, URLS, Stage, claims_of, compact, identity_stage
from tests.support.modes import Mode


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture
async def stage(folder: Path, tmp_path: Path, mode: Mode) -> AsyncIterator[Stage]:
    async with identity_stage(folder, mode.url(tmp_path / "identity.db")) as made:
        yield made


async def test_a_system_gets_a_bound_five_minute_token_for_one_service(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    answer = await stage.token(police, scope="referral.write directory.read")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    claims = claims_of(body["access_token"])
    assert body["token_type"] == "DPoP"
    assert body["expires_in"] == 300
    assert claims["exp"] - claims["iat"] == 300
    assert claims["aud"] == URLS["referral"]
    assert (claims["iss"], claims["sub"], claims["client_id"], claims["agency"]) == (
        ISSUER,
        police.id,
        police.id,
        "northmoor-police",
    )
    assert claims["scope"] == "referral.write directory.read"
    assert claims["cnf"] == {"jkt": police.dpop.kid}
    assert answer.headers["cache-control"] == "no-store"
    assert [
        (entry.operation, entry.outcome, entry.actor.agency) for entry in stage.sent.entries
    ] == [("login", "permit", "northmoor-police")]


async def test_no_secret_of_a_token_reaches_the_clear_part_of_its_record(stage: Stage) -> None:
    answer = await stage.token(stage.system("northmoor-police"), scope="referral.write")
    jti = claims_of(answer.json()["access_token"])["jti"]
    entry = stage.sent.entries[0]
    assert entry.actor.means["jti"] == jti, "in the part that is sealed"
    clear = replace(entry, actor=replace(entry.actor, means={}))
    assert jti not in repr(clear)


BAD_CLAIMS: dict[str, dict[str, Any]] = {
    "SignedClientAssertionWithTokenEndpointAsAudienceFails": {"aud": f"{ISSUER}/token"},
    "PAREndpointAsAudienceFails": {"aud": f"{ISSUER}/par"},
    "AsArrayAudienceFails": {"aud": [ISSUER]},
    "AudienceOfAnotherServerFails": {"aud": "http://other.example.org"},
    "ClientAssertionWithExpIs5MinutesInPastFails": {"exp": -300},
    "ExpiryYearsAheadFails": {"exp": 3 * 365 * 86_400},
    "IatOver60SecondsInTheFutureFails": {"iat": 61},
    "NbfOver60SecondsInTheFutureFails": {"nbf": 61},
    "SubDiffersFromIssFails": {"sub": "northmoor-idva-system"},
    "UnknownClientFails": {"iss": "nobody", "sub": "nobody"},
    "SubIsNotAStringFails": {"sub": 7},
    "EmptyJtiFails": {"jti": ""},
    "ExpIsTextFails": {"exp": "soon"},
}


@pytest.mark.parametrize("name", BAD_CLAIMS)
async def test_client_assertion_claims(stage: Stage, name: str) -> None:
    now = int(stage.clock.now().timestamp())
    changed = {
        key: now + value if key in ("exp", "iat", "nbf") and isinstance(value, int) else value
        for key, value in BAD_CLAIMS[name].items()
    }
    police = stage.system("northmoor-police")
    answer = await stage.token(
        police, scope="referral.write", client_assertion=police.assertion(changed)
    )
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "invalid_client",
        "error_description": "Client authentication failed.",
    }


@pytest.mark.parametrize("missing", ["sub", "iss", "aud", "exp", "jti"])
async def test_client_assertion_without_a_claim_fails(stage: Stage, missing: str) -> None:
    police = stage.system("northmoor-police")
    answer = await stage.token(
        police, scope="referral.write", client_assertion=police.assertion(without=(missing,))
    )
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("name", ["iat", "nbf"])
async def test_8_seconds_in_the_future_is_accepted(stage: Stage, name: str) -> None:
    police = stage.system("northmoor-police")
    ahead = {name: int(stage.clock.now().timestamp()) + 8}
    assert (
        await stage.token(police, scope="referral.write", client_assertion=police.assertion(ahead))
    ).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256"},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"kid": "unknown"},
        {"crit": ["b64"]},
    ],
)
async def test_signed_client_assertion_with_another_algorithm_or_key_fails(
    stage: Stage, header: dict[str, object]
) -> None:
    police = stage.system("northmoor-police")
    answer = await stage.token(
        police, scope="referral.write", client_assertion=police.assertion(header=header)
    )
    assert answer.json()["error"] == "invalid_client"


async def test_an_unsigned_assertion_fails(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    unsigned = ".".join([*police.assertion(header={"alg": "none"}).split(".")[:2], ""])
    assert (await stage.token(police, scope="referral.write", client_assertion=unsigned)).json()[
        "error"
    ] == "invalid_client"


async def test_a_key_that_came_with_the_assertion_is_not_believed(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    mallory = generate_signing("mallory")
    claims = claims_of(police.assertion())
    for kid in (police.key.kid, mallory.kid):
        forged = compact(
            {"alg": "ES256", "kid": kid, "jwk": mallory.jwk(), "typ": "JWT"}, claims, mallory
        )
        assert (await stage.token(police, scope="referral.write", client_assertion=forged)).json()[
            "error"
        ] == "invalid_client"


async def test_an_assertion_counts_once(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    same = police.assertion()
    assert (
        await stage.token(police, scope="referral.write", client_assertion=same)
    ).status_code == 200
    assert (await stage.token(police, scope="referral.write", client_assertion=same)).json()[
        "error"
    ] == "invalid_client"


async def test_no_other_way_to_authenticate_exists(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    proof = police.proof(f"{ISSUER}/token")
    form = {
        "grant_type": "client_credentials",
        "scope": "referral.write",
        "resource": URLS["referral"],
        "client_id": police.id,
    }
    for extra in ({}, {"client_secret": "guess"}):
        assert (await stage.post("/token", form | extra, DPoP=proof)).json()[
            "error"
        ] == "invalid_client"
    assert (
        await stage.post("/token", form, DPoP=proof, Authorization="Basic bm9ib2R5Om5vYm9keQ==")
    ).json()["error"] == "invalid_client"
    both = police.form(**form) | {"client_secret": "guess"}
    assert (await stage.post("/token", both, DPoP=proof)).json()["error"] == "invalid_client"


async def test_another_clients_id_beside_the_assertion_is_refused(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    answer = await stage.token(police, scope="referral.write", client_id="northmoor-idva-system")
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize(
    "scope",
    [
        "audit.read",
        "referral.write audit.read",
        "agency.manage",
        "audit.write",
        "made.up",
        "",
        "openid",
    ],
)
async def test_a_scope_over_the_ceiling_is_refused_and_not_trimmed(
    stage: Stage, scope: str
) -> None:
    answer = await stage.token(stage.system("northmoor-idva"), scope=scope)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_scope"
    assert "access_token" not in answer.json()


@pytest.mark.parametrize(
    "resource",
    ["", "http://elsewhere.example.org", URLS["referral"] + "/", URLS["referral"] + "?x=1"],
)
async def test_a_resource_must_be_one_known_service(stage: Stage, resource: str) -> None:
    assert (
        await stage.token(
            stage.system("northmoor-police"), scope="referral.write", resource=resource
        )
    ).json()["error"] == "invalid_target"


@pytest.mark.parametrize(
    "grant", ["password", "implicit", "urn:ietf:params:oauth:grant-type:token-exchange", "<script>"]
)
async def test_other_grants_do_not_exist_and_are_not_echoed(stage: Stage, grant: str) -> None:
    answer = await stage.token(
        stage.system("northmoor-police"), scope="referral.write", grant_type=grant
    )
    assert answer.json()["error"] == "unsupported_grant_type"
    assert grant not in answer.text


async def test_a_system_cannot_use_peoples_grants_nor_the_portal_a_systems(stage: Stage) -> None:
    portal, police = stage.portal(), stage.system("northmoor-police")
    assert (await stage.token(portal, scope="case.read")).json()["error"] == "unauthorized_client"
    assert (await stage.token(police, grant_type="authorization_code", code="x")).json()[
        "error"
    ] == "unauthorized_client"
    assert (await stage.token(police, grant_type="refresh_token", refresh_token="x")).json()[
        "error"
    ] == "unauthorized_client"


async def test_repeated_parameters_are_refused(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    form = "&".join(
        f"{name}={value}"
        for name, value in police.form(
            grant_type="client_credentials", resource=URLS["referral"]
        ).items()
    )
    for repeated in (
        "&scope=referral.write&scope=audit.read",
        "&scope=referral.write&grant_type=password",
        "&scope=referral.write&resource=x",
    ):
        answer = await stage.post("/token", form + repeated, DPoP=police.proof(f"{ISSUER}/token"))
        assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize("body", ["\xff", "a=1&" * 60, "scope=" + "x" * 20_000, "%ff=1"])
async def test_a_form_that_cannot_be_read_is_refused(stage: Stage, body: str) -> None:
    answer = await stage.post("/token", body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


async def test_holder_of_key_required(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    answer = await stage.post(
        "/token",
        police.form(
            grant_type="client_credentials", scope="referral.write", resource=URLS["referral"]
        ),
    )
    assert answer.json()["error"] == "invalid_dpop_proof"
    assert stage.sent.entries[-1].reason_code == "invalid-dpop-proof"


async def test_dpop_negative_tests(stage: Stage) -> None:
    police, now = stage.system("northmoor-police"), int(stage.clock.now().timestamp())
    url = f"{ISSUER}/token"
    head = {
        "alg": "ES256",
        "typ": "dpop+jwt",
        "jwk": {name: police.dpop.jwk()[name] for name in ("kty", "crv", "x", "y")},
    }
    body = {"htm": "POST", "htu": url, "iat": now, "jti": "j-1"}
    other = generate_signing("other")
    bad = [
        compact(head | {"typ": "JWT"}, body, police.dpop),
        compact(head | {"alg": "RS256"}, body, police.dpop),
        compact(head | {"alg": "none"}, body, police.dpop),
        compact(head | {"jwk": police.dpop.jwk(private=True)}, body, police.dpop),
        compact(head, body, other),
        compact(head, body | {"htm": "GET"}, police.dpop),
        compact(head, body | {"htu": f"{ISSUER}/par"}, police.dpop),
        compact(head, body | {"iat": now - 61}, police.dpop),
        compact(head, body | {"iat": now + 61}, police.dpop),
        compact(head, {name: value for name, value in body.items() if name != "jti"}, police.dpop),
        "rubbish",
    ]
    for proof in bad:
        answer = await stage.token(police, scope="referral.write", dpop=proof)
        assert answer.json()["error"] == "invalid_dpop_proof"


@pytest.mark.parametrize("shift", [-10, 10])
async def test_dpop_proof_with_iat_10_seconds_before_or_after_succeeds(
    stage: Stage, shift: int
) -> None:
    police = stage.system("northmoor-police")
    stage.clock.advance(shift)
    proof = police.proof(f"{ISSUER}/token")
    stage.clock.advance(-shift)
    assert (await stage.token(police, scope="referral.write", dpop=proof)).status_code == 200


async def test_a_clock_that_is_off_is_told_by_how_much(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    stage.clock.advance(-75)
    proof = police.proof(f"{ISSUER}/token")
    stage.clock.advance(75)
    answer = await stage.token(police, scope="referral.write", dpop=proof)
    assert answer.json()["error"] == "invalid_dpop_proof"
    assert "seconds behind the hub's clock" in answer.json()["error_description"]


async def test_a_proof_counts_once(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    proof = police.proof(f"{ISSUER}/token")
    assert (await stage.token(police, scope="referral.write", dpop=proof)).status_code == 200
    assert (await stage.token(police, scope="referral.write", dpop=proof)).json()[
        "error"
    ] == "invalid_dpop_proof"


async def test_debug_loggers_of_authlib_are_off_and_no_token_is_logged(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        logging.getLogger().setLevel(logging.DEBUG)
        answer = await stage.token(stage.system("northmoor-police"), scope="referral.write")
    for name in (
        "authlib",
        "authlib.oauth2.rfc6749.grants.client_credentials",
        "authlib.oauth2.rfc7523.client",
    ):
        assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    assert answer.json()["access_token"] not in caplog.text


async def test_a_refusal_of_a_known_client_is_recorded_and_of_an_unknown_one_counted(
    stage: Stage,
) -> None:
    await stage.token(stage.system("northmoor-police"), scope="audit.read")
    refused = stage.sent.entries[-1]
    assert (refused.operation, refused.outcome, refused.reason_code) == (
        "denied",
        "refused",
        "invalid-scope",
    )
    before = len(stage.sent.entries)
    await stage.post("/token", {"grant_type": "client_credentials"})
    assert len(stage.sent.entries) == before


async def test_check_dpop_proof_nbf_exp(stage: Stage) -> None:
    police, now = stage.system("northmoor-police"), int(stage.clock.now().timestamp())
    head = {
        "alg": "ES256",
        "typ": "dpop+jwt",
        "jwk": {name: police.dpop.jwk()[name] for name in ("kty", "crv", "x", "y")},
    }
    body = {
        "htm": "POST",
        "htu": f"{ISSUER}/token",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
        "jti": "j-2",
    }
    assert (
        await stage.token(police, scope="referral.write", dpop=compact(head, body, police.dpop))
    ).status_code == 200


@pytest.mark.parametrize("scheme", ["dpop", "DPOP", "DPoP"])
async def test_access_token_type_header_case_sensitivity(stage: Stage, scheme: str) -> None:
    police = stage.system("northmoor-police")
    token = (await stage.token(police, scope="directory.read", resource=ISSUER)).json()[
        "access_token"
    ]
    assert (
        await stage.call(police, token, "GET", "/v1/agencies", scheme=scheme)
    ).status_code == 200
