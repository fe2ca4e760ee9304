"""Forged, stretched, borrowed and replayed access tokens: each is refused with the same words, and
nothing happens."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common.events.identity import AgencyRestored, AgencySuspended, DirectoryHeartbeatV2
from hubformats.canonical import b64u, canonical
from hubformats.dpop import make_proof
from hubformats.keys import generate_signing
from tests.support.modes import Mode
from tests.support.web_harness import AGENCY, SERVICE, Harness, problem, running


@pytest.fixture
async def harness(tmp_path: Path, mode: Mode) -> AsyncIterator[Harness]:
    """A running service with one good caller."""
    async with running(tmp_path, mode) as made:
        yield made


async def test_a_good_token_passes(harness: Harness) -> None:
    answer = await harness.call("GET", "/v1/things/1")
    assert answer.status_code == 200, answer.text


Forge = Callable[[Harness], str]

FORGED: dict[str, Forge] = {
    "signed by another key": lambda harness: harness.token(key=generate_signing("svc:identity")),
    "signed by another key under a known kid": lambda harness: harness.token(
        key=generate_signing("x"), head={"kid": harness.issuer_key.kid}
    ),
    "algorithm none": lambda harness: harness.token(head={"alg": "none"}).rpartition(".")[0] + ".",
    "algorithm HS256": lambda harness: harness.token(head={"alg": "HS256"}),
    "algorithm RS256": lambda harness: harness.token(head={"alg": "RS256"}),
    "algorithm of another key type": lambda harness: harness.token(head={"alg": "PS256"}),
    "an ID token": lambda harness: harness.token(head={"typ": "JWT"}),
    "a proof as a token": lambda harness: harness.token(head={"typ": "dpop+jwt"}),
    "no key id": lambda harness: harness.token(head={"kid": 7}),
    "an unknown critical header": lambda harness: harness.token(
        head={"crit": ["b64"], "b64": False}
    ),
    "its own key in the header": lambda harness: harness.token(
        key=(own := generate_signing("x")), head={"jwk": own.public().jwk()}
    ),
    "another issuer": lambda harness: harness.token(iss="https://issuer.example.org"),
    "another audience": lambda harness: harness.token(aud="http://127.0.0.1:8102"),
    "no audience": lambda harness: harness.token(aud=None),
    "an audience that contains ours": lambda harness: harness.token(aud=SERVICE + "/v1"),
    "expired": lambda harness: harness.token(exp=int(harness.clock.now().timestamp()) - 11),
    "no expiry": lambda harness: harness.token(exp=None),
    "expiry as text": lambda harness: harness.token(exp="2099"),
    "expiry as true": lambda harness: harness.token(exp=True),
    "not yet valid": lambda harness: harness.token(nbf=int(harness.clock.now().timestamp()) + 60),
    "issued in the future": lambda harness: harness.token(
        iat=int(harness.clock.now().timestamp()) + 60
    ),
    "no subject": lambda harness: harness.token(sub=None),
    "no agency": lambda harness: harness.token(agency=None),
    "agency as a list": lambda harness: harness.token(agency=[AGENCY]),
    "not bound to a key": lambda harness: harness.token(cnf=None),
    "bound to nothing": lambda harness: harness.token(cnf={}),
    "roles as text": lambda harness: harness.token(roles="system"),
    "not a token": lambda _harness: "not-a-token",
    "empty": lambda _harness: "",
    "a changed claim": lambda harness: _changed(harness.token()),
    "nine kilobytes": lambda harness: harness.token(padding="x" * 9000),
}


def _changed(token: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{b64u(canonical({'agency': 'northmoor-idva'}))}.{signature}"


@pytest.mark.parametrize("defect", FORGED)
async def test_a_token_that_is_not_ours_is_refused_in_one_way(
    harness: Harness, defect: str
) -> None:
    token = FORGED[defect](harness)
    body = problem(await harness.make(token=token), 401, "unauthorized")
    other = problem(await harness.make(token="x.y.z"), 401, "unauthorized")
    changing = {"correlationId", "instance"}
    assert {k: v for k, v in body.items() if k not in changing} == {
        k: v for k, v in other.items() if k not in changing
    }
    assert harness.effects == []


async def test_the_answer_says_which_scheme_and_algorithms(harness: Harness) -> None:
    answer = await harness.raw("GET", "/v1/things/1")
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'DPoP algs="ES256 PS256 EdDSA"'
    answer = await harness.call("GET", "/v1/things/1", token="x.y.z")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_bound_token_as_bearer_is_refused(harness: Harness) -> None:
    answer = await harness.call(
        "GET", "/v1/things/1", headers={"Authorization": f"Bearer {harness.token()}"}
    )
    problem(answer, 401, "unauthorized")


async def test_ten_seconds_of_clock_difference_are_forgiven(harness: Harness) -> None:
    now = int(harness.clock.now().timestamp())
    cases: list[dict[str, Any]] = [{"exp": now - 9}, {"iat": now + 9}, {"nbf": now + 9}]
    for claims in cases:
        answer = await harness.call("GET", "/v1/things/1", token=harness.token(**claims))
        assert answer.status_code == 200, claims


async def test_a_remembered_token_still_expires(harness: Harness) -> None:
    token = harness.token()
    assert (await harness.call("GET", "/v1/things/1", token=token)).status_code == 200
    harness.clock.advance(311)
    harness.beat()
    problem(await harness.call("GET", "/v1/things/1", token=token), 401, "unauthorized")


async def test_a_missing_scope_is_named_in_the_challenge(harness: Harness) -> None:
    answer = await harness.make(token=harness.token(scope="referral.read"))
    problem(answer, 403, "insufficient-scope")
    assert (
        answer.headers["www-authenticate"]
        == 'DPoP error="insufficient_scope", scope="referral.write"'
    )
    assert harness.effects == []
    assert [
        (one.principal.client_id if one.principal else None, dict(one.reasons), one.route)
        for one in harness.refusals
    ] == [("police-rms", {"insufficient-scope": 1}, "/v1/things")]


def _proof(harness: Harness, **changes: Any) -> dict[str, Any]:
    arguments = {"method": "GET", "url": f"{SERVICE}/v1/things/1", "at": harness.clock.now()}
    return {**arguments, **changes}


BAD_PROOFS: dict[str, Callable[[Harness], dict[str, Any]]] = {
    "another method": lambda harness: _proof(harness, method="POST"),
    "another path": lambda harness: _proof(harness, url=f"{SERVICE}/v1/things/2"),
    "another host": lambda harness: _proof(harness, url="http://127.0.0.2:8101/v1/things/1"),
    "another port": lambda harness: _proof(harness, url="http://127.0.0.1:8102/v1/things/1"),
    "another scheme": lambda harness: _proof(harness, url="https://127.0.0.1:8101/v1/things/1"),
    "too old": lambda harness: _proof(harness, at=harness.clock.now() - timedelta(seconds=61)),
    "from the future": lambda harness: _proof(
        harness, at=harness.clock.now() + timedelta(seconds=11)
    ),
    "without the token's hash": lambda harness: _proof(harness, token=None),
    "with another token's hash": lambda harness: _proof(harness, token="another"),
}


@pytest.mark.parametrize("defect", BAD_PROOFS)
async def test_a_proof_for_something_else_is_refused(harness: Harness, defect: str) -> None:
    token = harness.token()
    arguments = {"token": token, **BAD_PROOFS[defect](harness)}
    answer = await harness.raw(
        "GET",
        "/v1/things/1",
        headers={
            "Authorization": f"DPoP {token}",
            "DPoP": make_proof(harness.client_key, **arguments),
        },
    )
    problem(answer, 401, "dpop-proof-refused")
    assert 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]


async def test_another_keys_proof_does_not_carry_a_stolen_token(harness: Harness) -> None:
    token = harness.token()
    thief = make_proof(
        generate_signing("thief"),
        "GET",
        f"{SERVICE}/v1/things/1",
        at=harness.clock.now(),
        token=token,
    )
    problem(
        await harness.raw(
            "GET", "/v1/things/1", headers={"Authorization": f"DPoP {token}", "DPoP": thief}
        ),
        401,
        "dpop-proof-refused",
    )


async def test_no_proof_and_two_proofs_are_refused(harness: Harness) -> None:
    token = harness.token()
    problem(
        await harness.raw("GET", "/v1/things/1", headers={"Authorization": f"DPoP {token}"}),
        401,
        "dpop-proof-refused",
    )
    proofs = [
        make_proof(
            harness.client_key, "GET", f"{SERVICE}/v1/things/1", at=harness.clock.now(), token=token
        )
        for _ in range(2)
    ]
    twice = [("Authorization", f"DPoP {token}"), ("DPoP", proofs[0]), ("DPoP", proofs[1])]
    problem(await harness.raw("GET", "/v1/things/1", headers=twice), 401, "dpop-proof-refused")


async def test_a_proof_works_once_and_a_restart_does_not_change_that(harness: Harness) -> None:
    headers = harness.headers("GET", "/v1/things/1")
    assert (await harness.raw("GET", "/v1/things/1", headers=headers)).status_code == 200
    problem(await harness.raw("GET", "/v1/things/1", headers=headers), 401, "dpop-proof-refused")
    harness.app = harness.build()
    problem(await harness.raw("GET", "/v1/things/1", headers=headers), 401, "dpop-proof-refused")


async def test_a_forged_host_header_does_not_move_the_proof(harness: Harness) -> None:
    token = harness.token()
    elsewhere = make_proof(
        harness.client_key,
        "GET",
        "http://evil.example.org/v1/things/1",
        at=harness.clock.now(),
        token=token,
    )
    headers = {
        "Authorization": f"DPoP {token}",
        "DPoP": elsewhere,
        "Host": "evil.example.org",
        "X-Forwarded-Host": "evil.example.org",
    }
    problem(await harness.raw("GET", "/v1/things/1", headers=headers), 401, "dpop-proof-refused")


async def test_unknown_kids_do_not_make_us_hammer_the_issuer(harness: Harness) -> None:
    assert (await harness.call("GET", "/v1/things/1")).status_code == 200
    before = len(harness.fetches)
    harness.clock.advance(11)
    for _ in range(20):
        await harness.call("GET", "/v1/things/1", token=harness.token(key=generate_signing("x")))
    assert len(harness.fetches) - before == 2, "one look at the metadata and one at the keys"


async def test_a_new_issuer_key_is_found_when_first_seen(harness: Harness) -> None:
    assert (await harness.call("GET", "/v1/things/1")).status_code == 200
    harness.published.append(fresh := generate_signing("svc:identity"))
    harness.clock.advance(11)
    assert (
        await harness.call("GET", "/v1/things/1", token=harness.token(key=fresh))
    ).status_code == 200


async def test_an_issuer_that_never_answered_is_503_and_known_keys_outlive_it(
    harness: Harness,
) -> None:
    harness.issuer_up = False
    problem(await harness.call("GET", "/v1/things/1"), 503, "issuer-unreachable")
    harness.issuer_up = True
    assert (await harness.call("GET", "/v1/things/1")).status_code == 200
    harness.issuer_up = False
    harness.clock.advance(700)
    harness.beat()
    assert (await harness.call("GET", "/v1/things/1")).status_code == 200


async def test_a_suspended_agency_is_refused_whatever_its_token_says(harness: Harness) -> None:
    token = harness.token()
    assert (await harness.call("GET", "/v1/things/1", token=token)).status_code == 200
    harness.directory.apply(
        AgencySuspended(
            agency=AGENCY, reason_code="exercise", state_epoch=2, at=harness.clock.now()
        )
    )
    problem(await harness.call("GET", "/v1/things/1", token=token), 403, "agency-suspended")
    assert harness.refusals[-1].principal is not None, (
        "the token is genuine, so the refusal has a name"
    )
    harness.directory.apply(AgencyRestored(agency=AGENCY, state_epoch=3, at=harness.clock.now()))
    assert (await harness.call("GET", "/v1/things/1", token=token)).status_code == 200


async def test_a_directory_silent_for_over_a_minute_denies(harness: Harness) -> None:
    harness.clock.advance(60)
    assert (await harness.call("GET", "/v1/things/1")).status_code == 200
    harness.clock.advance(1)
    problem(await harness.call("GET", "/v1/things/1"), 503, "directory-stale")
    harness.beat()
    assert (await harness.call("GET", "/v1/things/1")).status_code == 200


async def test_a_system_cannot_pass_for_a_person_and_an_old_sign_in_is_not_fresh(
    harness: Harness,
) -> None:
    now = int(harness.clock.now().timestamp())
    path = "/v1/things/1/address"
    scope: dict[str, Any] = {"scope": "contact.read"}
    problem(await harness.call("GET", path, token=harness.token(**scope)), 403, "forbidden")
    answer = await harness.call(
        "GET", path, token=harness.token(sub="p-1", auth_time=now - 301, **scope)
    )
    problem(answer, 401, "step-up-required")
    assert (
        'error="insufficient_user_authentication", max_age="300"'
        in answer.headers["www-authenticate"]
    )
    problem(
        await harness.call("GET", path, token=harness.token(sub="p-1", **scope)),
        401,
        "step-up-required",
    )
    assert (
        await harness.call(
            "GET", path, token=harness.token(sub="p-1", auth_time=now - 300, **scope)
        )
    ).status_code == 200


async def test_scopes_nobody_defined_grant_nothing(harness: Harness) -> None:
    problem(
        await harness.make(
            token=harness.token(scope="* referral.* REFERRAL.WRITE referral.writer")
        ),
        403,
        "insufficient-scope",
    )


async def test_a_token_that_identity_ended_is_refused_though_it_is_remembered(
    harness: Harness,
) -> None:
    issued = int(harness.clock.now().timestamp())
    ended, other = harness.token(jti="ended"), harness.token(jti="other")
    for token in (ended, other):
        assert (await harness.call("GET", "/v1/things/1", token=token)).status_code == 200
    said = DirectoryHeartbeatV2(
        at=harness.clock.now(),
        state_epoch=1,
        suspended=(),
        ended_tokens=("ended",),
        ended_until=0,
    )
    harness.directory.apply(said)
    problem(await harness.call("GET", "/v1/things/1", token=ended), 401, "unauthorized")
    assert (await harness.call("GET", "/v1/things/1", token=other)).status_code == 200
    many = {"ended_tokens": (), "ended_until": issued}
    harness.directory.apply(said.model_copy(update=many))
    problem(await harness.call("GET", "/v1/things/1", token=other), 401, "unauthorized")
    harness.clock.advance(1)
    fresh = harness.token(jti="fresh")
    assert (await harness.call("GET", "/v1/things/1", token=fresh)).status_code == 200


async def test_a_token_without_an_id_could_not_be_ended_and_is_refused(harness: Harness) -> None:
    refused = await harness.call("GET", "/v1/things/1", token=harness.token(jti=None))
    problem(refused, 401, "unauthorized")
