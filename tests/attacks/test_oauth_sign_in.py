"""People's sign-in under attack: pushed requests, codes, PKCE, refresh; FAPI 2.0 negative tests by
the conformance suite's names."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubformats.bootstrap import SERVICES
from hubformats.keys import generate_signing
from identity.oauth.model import digest
from tests.support.identity_stage import (
    CALLBACK,
    ISSUER,
    URLS,
    Party,
    Stage,
    claims_of,
    identity_stage,
    location,
)
from tests.support.modes import Mode

VERIFIER = "v" * 50
SCOPE = "case.read disclosure.read"


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


async def test_an_idva_signs_in_and_the_token_says_who_and_how(stage: Stage, portal: Party) -> None:
    amina = stage.person("idva")
    pushed = await stage.push(portal, VERIFIER, headers={"DPoP": portal.proof(f"{ISSUER}/par")})
    assert pushed.status_code == 201
    assert 0 < pushed.json()["expires_in"] < 600
    back = location(await stage.click(pushed.json()["request_uri"], amina))
    assert (back["state"], back["iss"]) == ("st-1", ISSUER)
    answer = await stage.redeem(portal, back["code"], VERIFIER)
    claims = claims_of(answer.json()["access_token"])
    assert (claims["sub"], claims["client_id"], claims["agency"], claims["roles"]) == (
        amina,
        "portal",
        "northmoor-idva",
        ["idva"],
    )
    assert claims["acr"] == "urn:hub:acr:demo"
    assert claims["auth_time"] == int(stage.clock.now().timestamp())
    assert claims["scope"] == answer.json()["scope"] == SCOPE
    assert "Amina" not in str(claims)
    assert [entry.resource_type for entry in stage.sent.entries] == ["sign-in", "access-token"]


async def test_scopes_beyond_a_persons_roles_are_left_out_and_said_so(
    stage: Stage, portal: Party
) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("auditor"), scope="case.read audit.read")
    assert (await stage.redeem(portal, code, VERIFIER, resource=URLS["audit"])).json()[
        "scope"
    ] == "audit.read"


async def test_a_person_whose_roles_allow_nothing_asked_is_denied(
    stage: Stage, portal: Party
) -> None:
    pushed = await stage.push(portal, VERIFIER, {"scope": "audit.read"})
    back = location(await stage.click(pushed.json()["request_uri"], stage.person("idva")))
    assert (back["error"], back["iss"], back["state"]) == ("access_denied", ISSUER, "st-1")
    assert stage.sent.entries[-1].operation == "login_failed"


async def test_an_auditor_outside_the_days_of_the_mandate_is_denied(
    stage: Stage, portal: Party
) -> None:
    stage.clock.advance(10 * 365 * 86_400.0)
    pushed = await stage.push(portal, VERIFIER, {"scope": "audit.read"})
    assert (
        location(await stage.click(pushed.json()["request_uri"], stage.person("auditor")))["error"]
        == "access_denied"
    )
    assert stage.sent.entries[-1].reason_code == "mandate-not-in-force"


async def test_cancelling_tells_the_client(stage: Stage, portal: Party) -> None:
    pushed = await stage.push(portal, VERIFIER)
    assert (
        location(await stage.click(pushed.json()["request_uri"], "cancel"))["error"]
        == "access_denied"
    )


BAD_PUSH = {
    "PKCERequired": ({"code_challenge": "", "code_challenge_method": ""}, "invalid_request"),
    "PlainPKCERejected": ({"code_challenge_method": "plain"}, "invalid_request"),
    "MethodLeftOutMeansPlainRejected": ({"code_challenge_method": ""}, "invalid_request"),
    "ShortChallengeRejected": ({"code_challenge": "short"}, "invalid_request"),
    "ForeignRedirectUriFails": ({"redirect_uri": "http://evil.example.org/cb"}, "invalid_request"),
    "RedirectUriWithAddedQueryFails": ({"redirect_uri": CALLBACK + "?x=1"}, "invalid_request"),
    "RedirectUriWithUmlautFails": (
        {"redirect_uri": 'http://ev\u00efl.example.org/\n"'},
        "invalid_request",
    ),
    "RedirectUriMissingFails": ({"redirect_uri": ""}, "invalid_request"),
    "ResponseTypeTokenFails": ({"response_type": "token"}, "unsupported_response_type"),
    "ResponseTypeCodeIdTokenFails": (
        {"response_type": "code id_token"},
        "unsupported_response_type",
    ),
    "ResponseTypeMissingFails": ({"response_type": ""}, "unsupported_response_type"),
    "PARRejectRequestUriInParAuthorizationRequest": (
        {"request_uri": "urn:ietf:params:oauth:request_uri:x"},
        "invalid_request",
    ),
    "RequestObjectFails": ({"request": "eyJhbGciOiJub25lIn0.e30."}, "invalid_request"),
    "ScopeOverCeilingFails": ({"scope": "audit.write"}, "invalid_scope"),
    "UnknownResourceFails": ({"resource": "http://elsewhere.example.org"}, "invalid_target"),
    "BadThumbprintFails": ({"dpop_jkt": "short"}, "invalid_request"),
    "PromptNoneFailsWithLoginRequired": ({"prompt": "none"}, "login_required"),
    "PromptNoneWithAnotherFails": ({"prompt": "none login"}, "invalid_request"),
    "MaxAgeThatIsNoNumberFails": ({"max_age": "-1"}, "invalid_request"),
}


@pytest.mark.parametrize("name", BAD_PUSH)
async def test_pushed_request(stage: Stage, portal: Party, name: str) -> None:
    changed, error = BAD_PUSH[name]
    answer = await stage.push(portal, VERIFIER, changed)
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert "evil" not in answer.text


async def test_par_reject_invalid_http_verb(stage: Stage) -> None:
    assert (await stage.http.get(f"{ISSUER}/par")).status_code == 405
    assert (await stage.http.put(f"{ISSUER}/par")).status_code == 405


async def test_a_system_cannot_push(stage: Stage) -> None:
    assert (
        await stage.push(stage.system("northmoor-police"), VERIFIER, {"scope": "referral.read"})
    ).json()["error"] == "unauthorized_client"


async def test_mismatched_dpop_jkt_fails(stage: Stage, portal: Party) -> None:
    other = generate_signing("other").kid
    answer = await stage.push(
        portal, VERIFIER, {"dpop_jkt": other}, headers={"DPoP": portal.proof(f"{ISSUER}/par")}
    )
    assert answer.json()["error"] == "invalid_request"
    broken = await stage.push(portal, VERIFIER, headers={"DPoP": portal.proof(f"{ISSUER}/token")})
    assert broken.json()["error"] == "invalid_dpop_proof"


async def test_only_a_pushed_request_reaches_the_page(stage: Stage) -> None:
    plain = {
        "client_id": "portal",
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": SCOPE,
        "code_challenge": "c" * 43,
    }
    for query in (
        plain,
        {"client_id": "portal", "request_uri": "urn:ietf:params:oauth:request_uri:made-up"},
        {"request_uri": "https://evil.example.org/r"},
    ):
        answer = await stage.http.get(f"{ISSUER}/authorize", params=query)
        assert answer.status_code in (400, 422)
        assert "Start signing in again" in answer.text
        assert "location" not in answer.headers
        assert "evil" not in answer.text


async def test_request_uri_is_bound_to_client(stage: Stage, portal: Party) -> None:
    pushed = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    assert (
        await stage.http.get(
            f"{ISSUER}/authorize", params={"client_id": "operator", "request_uri": pushed}
        )
    ).status_code == 400
    assert (await stage.click(pushed, stage.person("idva"), client="operator")).status_code == 400


async def test_accepts_reused_request_uri_before_authentication_completion(
    stage: Stage, portal: Party
) -> None:
    pushed = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    pages = [
        await stage.http.get(
            f"{ISSUER}/authorize", params={"client_id": "portal", "request_uri": pushed}
        )
        for _ in range(3)
    ]
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert (await stage.click(pushed, stage.person("idva"))).status_code == 303


async def test_par_attempt_reuse_request_uri(stage: Stage, portal: Party) -> None:
    pushed = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    answers = await asyncio.gather(*(stage.click(pushed, stage.person("idva")) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 9


async def test_par_attempt_to_use_expired_request_uri(stage: Stage, portal: Party) -> None:
    pushed = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    stage.clock.advance(301)
    assert (await stage.click(pushed, stage.person("idva"))).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "none"}],
)
async def test_a_click_from_another_site_does_nothing(
    stage: Stage, portal: Party, headers: dict[str, str]
) -> None:
    pushed = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    assert (await stage.click(pushed, stage.person("idva"), **headers)).status_code == 403
    assert (await stage.click(pushed, stage.person("idva"))).status_code == 303


async def test_without_sec_fetch_the_origin_must_be_ours(stage: Stage, portal: Party) -> None:
    pushed = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    form = {"client_id": "portal", "request_uri": pushed, "person": stage.person("idva")}
    assert (await stage.post("/authorize", form)).status_code == 403
    assert (
        await stage.post("/authorize", form, Origin="http://evil.example.org")
    ).status_code == 403
    assert (
        await stage.post("/authorize", form, Origin="http://hub.example.org")
    ).status_code == 303


async def test_the_page_has_no_script_and_may_send_its_form_home_only(
    stage: Stage, portal: Party
) -> None:
    pushed = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    page = await stage.http.get(
        f"{ISSUER}/authorize", params={"client_id": "portal", "request_uri": pushed}
    )
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://hub.example.org;" in policy
    assert "script" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert re.search(r'<html lang="en-GB">', page.text)
    assert len(re.findall(r'name="person"', page.text)) == len(stage.bootstrap.people)


async def test_without_demo_mode_the_page_offers_nothing_and_a_forged_click_is_refused(
    folder: Path, tmp_path: Path, mode: Mode
) -> None:
    async with identity_stage(folder, mode.url(tmp_path / "plain.db"), demo=False) as stage:
        pushed = (await stage.push(stage.portal(), VERIFIER)).json()["request_uri"]
        page = await stage.http.get(
            f"{ISSUER}/authorize", params={"client_id": "portal", "request_uri": pushed}
        )
        assert "Passkeys" in page.text
        assert 'name="person"' not in page.text
        assert (await stage.click(pushed, stage.person("idva"))).status_code == 403
        assert stage.sent.entries[-1].reason_code == "method-not-offered"


async def test_long_state_and_without_state_success(stage: Stage, portal: Party) -> None:
    long = "s" * 1000
    for state in (long, ""):
        pushed = await stage.push(portal, VERIFIER, {"state": state})
        back = location(await stage.click(pushed.json()["request_uri"], stage.person("idva")))
        assert back.get("state", "") == state


async def test_ten_parallel_redemptions_of_one_code_give_one_token_set_and_that_dies(
    stage: Stage, portal: Party
) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    answers = await asyncio.gather(*(stage.redeem(portal, code, VERIFIER) for _ in range(10)))
    good = [answer.json() for answer in answers if answer.status_code == 200]
    assert len(good) == 1
    assert {answer.json()["error"] for answer in answers if answer.status_code != 200} == {
        "invalid_grant"
    }
    refreshed = await stage.token(
        portal, grant_type="refresh_token", refresh_token=good[0]["refresh_token"]
    )
    assert refreshed.json()["error"] == "invalid_grant"
    assert await _active(stage, good[0]["access_token"]) is False
    assert any(entry.reason_code == "code-replayed" for entry in stage.sent.entries)


async def test_attempt_reuse_authorization_code_after_one_second(
    stage: Stage, portal: Party
) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    assert (await stage.redeem(portal, code, VERIFIER)).status_code == 200
    stage.clock.advance(1)
    assert (await stage.redeem(portal, code, VERIFIER)).json()["error"] == "invalid_grant"


async def test_attempt_to_use_expired_auth_code(stage: Stage, portal: Party) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    stage.clock.advance(61)
    assert (await stage.redeem(portal, code, VERIFIER)).json()["error"] == "invalid_grant"


async def test_wrong_verifier_fails_and_uses_the_code_up(stage: Stage, portal: Party) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    assert (await stage.redeem(portal, code, "w" * 50)).json()["error"] == "invalid_grant"
    assert (await stage.redeem(portal, code, VERIFIER)).json()["error"] == "invalid_grant"


async def test_missing_verifier_and_other_redirect_uri_fail(stage: Stage, portal: Party) -> None:
    first, second = [await stage.code(portal, VERIFIER, stage.person("idva")) for _ in range(2)]
    assert (await stage.redeem(portal, first, "")).json()["error"] == "invalid_request"
    assert (await stage.redeem(portal, second, VERIFIER, redirect_uri=CALLBACK + "/x")).json()[
        "error"
    ] == "invalid_grant"


async def test_token_endpoint_fails_with_mismatched_dpop_proof_jkt(
    stage: Stage, portal: Party
) -> None:
    for parameters, headers in (
        ({"dpop_jkt": portal.dpop.kid}, {}),
        ({}, {"DPoP": portal.proof(f"{ISSUER}/par")}),
    ):
        pushed = await stage.push(portal, VERIFIER, parameters, headers=headers)
        code = location(await stage.click(pushed.json()["request_uri"], stage.person("idva")))[
            "code"
        ]
        thief = Party("portal", portal.key, stage.clock)
        assert (await stage.redeem(thief, code, VERIFIER)).json()["error"] == "invalid_grant"


async def test_a_resource_named_at_sign_in_binds_every_token_of_it(
    stage: Stage, portal: Party
) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"), resource=URLS["sharing"])
    assert (await stage.redeem(portal, code, VERIFIER, resource=URLS["referral"])).json()[
        "error"
    ] == "invalid_target"


async def test_refresh_gives_tokens_for_each_service_without_rotation_until_the_shift_ends(
    stage: Stage, portal: Party
) -> None:
    first = (
        await stage.redeem(
            portal, await stage.code(portal, VERIFIER, stage.person("idva")), VERIFIER
        )
    ).json()
    for name in ("referral", "sharing", "audit", "identity"):
        again = await stage.token(
            portal,
            grant_type="refresh_token",
            refresh_token=first["refresh_token"],
            resource=URLS[name],
        )
        assert claims_of(again.json()["access_token"])["aud"] == URLS[name]
        assert "refresh_token" not in again.json()
    stage.clock.advance(8 * 3600 - 1)
    kept = await stage.token(
        portal, grant_type="refresh_token", refresh_token=first["refresh_token"]
    )
    assert (
        claims_of(kept.json()["access_token"])["auth_time"]
        == claims_of(first["access_token"])["auth_time"]
    )
    stage.clock.advance(2)
    over = await stage.token(
        portal, grant_type="refresh_token", refresh_token=first["refresh_token"]
    )
    assert over.json()["error"] == "invalid_grant"


async def test_a_refresh_token_with_another_key_or_more_scope_is_refused(
    stage: Stage, portal: Party
) -> None:
    first = (
        await stage.redeem(
            portal, await stage.code(portal, VERIFIER, stage.person("idva")), VERIFIER
        )
    ).json()
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    assert (await stage.token(portal, **refresh, scope="case.write")).json()[
        "error"
    ] == "invalid_scope"
    assert (await stage.token(portal, **refresh, scope="case.read")).json()["scope"] == "case.read"
    thief = Party("portal", portal.key, stage.clock)
    assert (await stage.token(thief, **refresh)).json()["error"] == "invalid_grant"
    assert await _active(stage, first["access_token"]) is False, "there is a copy: all of it ends"
    assert (await stage.token(portal, **refresh)).json()["error"] == "invalid_grant"
    assert any(entry.reason_code == "refresh-token-reused" for entry in stage.sent.entries)


async def test_codes_and_refresh_tokens_are_not_in_the_database(
    stage: Stage, portal: Party, mode: Mode, tmp_path: Path
) -> None:
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    token = (await stage.redeem(portal, code, VERIFIER)).json()
    assert mode.holding(tmp_path, digest(code).encode())
    for secret in (code, token["refresh_token"], token["access_token"], "Amina"):
        assert mode.holding(tmp_path, secret.encode()) == []


async def test_revoking_a_refresh_token_ends_its_access_tokens_and_strangers_learn_nothing(
    stage: Stage, portal: Party
) -> None:
    first = (
        await stage.redeem(
            portal, await stage.code(portal, VERIFIER, stage.person("idva")), VERIFIER
        )
    ).json()
    police = stage.system("northmoor-police")
    asked = await stage.post("/introspect", police.form(token=first["access_token"]))
    assert asked.json() == {"active": False}
    assert (
        await stage.post("/introspect", stage.service("sharing").form(token=first["access_token"]))
    ).json() == {"active": False}
    assert await _active(stage, first["access_token"]) is True
    assert (await stage.post("/revoke", police.form(token=first["refresh_token"]))).json()[
        "error"
    ] == "invalid_grant"
    assert (
        await stage.post("/revoke", portal.form(token=first["refresh_token"]))
    ).status_code == 200
    assert await _active(stage, first["access_token"]) is False
    assert (await stage.post("/revoke", portal.form(token="unknown"))).status_code == 200


async def test_introspection_tells_the_services_what_they_need(stage: Stage) -> None:
    token = (await stage.token(stage.system("northmoor-police"), scope="referral.write")).json()[
        "access_token"
    ]
    known = (await stage.post("/introspect", stage.service("referral").form(token=token))).json()
    assert known == {"active": True, "token_type": "DPoP", **claims_of(token)}
    stage.clock.advance(301)
    assert await _active(stage, token) is False
    assert (await stage.post("/introspect", {"token": token})).json()["error"] == "invalid_client"


async def test_metadata_says_what_is_true(stage: Stage) -> None:
    told = (await stage.http.get(f"{ISSUER}/.well-known/oauth-authorization-server")).json()
    assert told["issuer"] == ISSUER
    assert told["require_pushed_authorization_requests"] is True
    assert told["authorization_response_iss_parameter_supported"] is True
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert not {"RS256", "none", "HS256"} & set(
        told["token_endpoint_auth_signing_alg_values_supported"]
    )
    jwks = (await stage.http.get(told["jwks_uri"])).json()["keys"]
    assert all("d" not in jwk for jwk in jwks)
    assert set(SERVICES) > {"identity"}


async def _active(stage: Stage, token: str) -> bool:
    answer = await stage.post("/introspect", stage.service("referral").form(token=token))
    return bool(answer.json()["active"])
