"""Forged, stretched, borrowed and replayed access tokens: each is refused with the same words, and
nothing happens."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from common.events.identity import AgencyRestored, AgencySuspended
from hubformats.canonical import b64u, canonical
from hubformats.dpop import make_proof
from hubformats.keys import generate_signing
from tests.support.web_bed import AGENCY, SERVICE, Bed, problem, running


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """A running service with one good caller."""
    async with running(tmp_path) as made:
        yield made


async def test_a_good_token_passes(bed: Bed) -> None:
    answer = await bed.call("GET", "/v1/things/1")
    assert answer.status_code == 200, answer.text


Forge = Callable[[Bed], str]

FORGED: dict[str, Forge] = {
    "signed by another key": lambda bed: bed.token(key=generate_signing("svc:identity")),
    "signed by another key under a known kid": lambda bed: bed.token(
        key=generate_signing("x"), head={"kid": bed.issuer_key.kid}
    ),
    "algorithm none": lambda bed: bed.token(head={"alg": "none"}).rpartition(".")[0] + ".",
    "algorithm HS256": lambda bed: bed.token(head={"alg": "HS256"}),
    "algorithm RS256": lambda bed: bed.token(head={"alg": "RS256"}),
    "algorithm of another key type": lambda bed: bed.token(head={"alg": "PS256"}),
    "an ID token": lambda bed: bed.token(head={"typ": "JWT"}),
    "a proof as a token": lambda bed: bed.token(head={"typ": "dpop+jwt"}),
    "no key id": lambda bed: bed.token(head={"kid": 7}),
    "an unknown critical header": lambda bed: bed.token(head={"crit": ["b64"], "b64": False}),
    "its own key in the header": lambda bed: bed.token(
        key=(own := generate_signing("x")), head={"jwk": own.public().jwk()}
    ),
    "another issuer": lambda bed: bed.token(iss="https://issuer.example.org"),
    "another audience": lambda bed: bed.token(aud="http://127.0.0.1:8102"),
    "no audience": lambda bed: bed.token(aud=None),
    "an audience that contains ours": lambda bed: bed.token(aud=SERVICE + "/v1"),
    "expired": lambda bed: bed.token(exp=int(bed.clock.now().timestamp()) - 11),
    "no expiry": lambda bed: bed.token(exp=None),
    "expiry as text": lambda bed: bed.token(exp="2099"),
    "expiry as true": lambda bed: bed.token(exp=True),
    "not yet valid": lambda bed: bed.token(nbf=int(bed.clock.now().timestamp()) + 60),
    "issued in the future": lambda bed: bed.token(iat=int(bed.clock.now().timestamp()) + 60),
    "no subject": lambda bed: bed.token(sub=None),
    "no agency": lambda bed: bed.token(agency=None),
    "agency as a list": lambda bed: bed.token(agency=[AGENCY]),
    "not bound to a key": lambda bed: bed.token(cnf=None),
    "bound to nothing": lambda bed: bed.token(cnf={}),
    "roles as text": lambda bed: bed.token(roles="system"),
    "not a token": lambda _bed: "not-a-token",
    "empty": lambda _bed: "",
    "a changed claim": lambda bed: _changed(bed.token()),
    "nine kilobytes": lambda bed: bed.token(padding="x" * 9000),
}


def _changed(token: str) -> str:
    head, _, signature = token.split(".")
    return f"{head}.{b64u(canonical({'agency': 'northmoor-idva'}))}.{signature}"


@pytest.mark.parametrize("defect", FORGED)
async def test_a_token_that_is_not_ours_is_refused_in_one_way(bed: Bed, defect: str) -> None:
    token = FORGED[defect](bed)
    body = problem(await bed.make(token=token), 401, "unauthorized")
    other = problem(await bed.make(token="x.y.z"), 401, "unauthorized")
    changing = {"correlationId", "instance"}
    assert {k: v for k, v in body.items() if k not in changing} == {
        k: v for k, v in other.items() if k not in changing
    }
    assert bed.effects == []


async def test_the_answer_says_which_scheme_and_algorithms(bed: Bed) -> None:
    answer = await bed.raw("GET", "/v1/things/1")
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'DPoP algs="ES256 PS256 EdDSA"'
    answer = await bed.call("GET", "/v1/things/1", token="x.y.z")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_a_bound_token_as_bearer_is_refused(bed: Bed) -> None:
    answer = await bed.call(
        "GET", "/v1/things/1", headers={"Authorization": f"Bearer {bed.token()}"}
    )
    problem(answer, 401, "unauthorized")


async def test_ten_seconds_of_clock_difference_are_forgiven(bed: Bed) -> None:
    now = int(bed.clock.now().timestamp())
    cases: list[dict[str, Any]] = [{"exp": now - 9}, {"iat": now + 9}, {"nbf": now + 9}]
    for claims in cases:
        answer = await bed.call("GET", "/v1/things/1", token=bed.token(**claims))
        assert answer.status_code == 200, claims


async def test_a_remembered_token_still_expires(bed: Bed) -> None:
    token = bed.token()
    assert (await bed.call("GET", "/v1/things/1", token=token)).status_code == 200
    bed.clock.advance(311)
    bed.beat()
    problem(await bed.call("GET", "/v1/things/1", token=token), 401, "unauthorized")


async def test_a_missing_scope_is_named_in_the_challenge(bed: Bed) -> None:
    answer = await bed.make(token=bed.token(scope="referral.read"))
    problem(answer, 403, "insufficient-scope")
    assert (
        answer.headers["www-authenticate"]
        == 'DPoP error="insufficient_scope", scope="referral.write"'
    )
    assert bed.effects == []
    assert [
        (one.principal.client_id if one.principal else None, dict(one.reasons), one.route)
        for one in bed.refusals
    ] == [("police-rms", {"insufficient-scope": 1}, "/v1/things")]


def _proof(bed: Bed, **changes: Any) -> dict[str, Any]:
    arguments = {"method": "GET", "url": f"{SERVICE}/v1/things/1", "at": bed.clock.now()}
    return {**arguments, **changes}


BAD_PROOFS: dict[str, Callable[[Bed], dict[str, Any]]] = {
    "another method": lambda bed: _proof(bed, method="POST"),
    "another path": lambda bed: _proof(bed, url=f"{SERVICE}/v1/things/2"),
    "another host": lambda bed: _proof(bed, url="http://127.0.0.2:8101/v1/things/1"),
    "another port": lambda bed: _proof(bed, url="http://127.0.0.1:8102/v1/things/1"),
    "another scheme": lambda bed: _proof(bed, url="https://127.0.0.1:8101/v1/things/1"),
    "too old": lambda bed: _proof(bed, at=bed.clock.now() - timedelta(seconds=61)),
    "from the future": lambda bed: _proof(bed, at=bed.clock.now() + timedelta(seconds=11)),
    "without the token's hash": lambda bed: _proof(bed, token=None),
    "with another token's hash": lambda bed: _proof(bed, token="another"),
}


@pytest.mark.parametrize("defect", BAD_PROOFS)
async def test_a_proof_for_something_else_is_refused(bed: Bed, defect: str) -> None:
    token = bed.token()
    arguments = {"token": token, **BAD_PROOFS[defect](bed)}
    answer = await bed.raw(
        "GET",
        "/v1/things/1",
        headers={"Authorization": f"DPoP {token}", "DPoP": make_proof(bed.client_key, **arguments)},
    )
    problem(answer, 401, "dpop-proof-refused")
    assert 'error="invalid_dpop_proof"' in answer.headers["www-authenticate"]


async def test_another_keys_proof_does_not_carry_a_stolen_token(bed: Bed) -> None:
    token = bed.token()
    thief = make_proof(
        generate_signing("thief"), "GET", f"{SERVICE}/v1/things/1", at=bed.clock.now(), token=token
    )
    problem(
        await bed.raw(
            "GET", "/v1/things/1", headers={"Authorization": f"DPoP {token}", "DPoP": thief}
        ),
        401,
        "dpop-proof-refused",
    )


async def test_no_proof_and_two_proofs_are_refused(bed: Bed) -> None:
    token = bed.token()
    problem(
        await bed.raw("GET", "/v1/things/1", headers={"Authorization": f"DPoP {token}"}),
        401,
        "dpop-proof-refused",
    )
    proofs = [
        make_proof(bed.client_key, "GET", f"{SERVICE}/v1/things/1", at=bed.clock.now(), token=token)
        for _ in range(2)
    ]
    twice = [("Authorization", f"DPoP {token}"), ("DPoP", proofs[0]), ("DPoP", proofs[1])]
    problem(await bed.raw("GET", "/v1/things/1", headers=twice), 401, "dpop-proof-refused")


async def test_a_proof_works_once_and_a_restart_does_not_change_that(bed: Bed) -> None:
    headers = bed.headers("GET", "/v1/things/1")
    assert (await bed.raw("GET", "/v1/things/1", headers=headers)).status_code == 200
    problem(await bed.raw("GET", "/v1/things/1", headers=headers), 401, "dpop-proof-refused")
    bed.app = bed.build()
    problem(await bed.raw("GET", "/v1/things/1", headers=headers), 401, "dpop-proof-refused")


async def test_a_forged_host_header_does_not_move_the_proof(bed: Bed) -> None:
    token = bed.token()
    elsewhere = make_proof(
        bed.client_key,
        "GET",
        "http://evil.example.org/v1/things/1",
        at=bed.clock.now(),
        token=token,
    )
    headers = {
        "Authorization": f"DPoP {token}",
        "DPoP": elsewhere,
        "Host": "evil.example.org",
        "X-Forwarded-Host": "evil.example.org",
    }
    problem(await bed.raw("GET", "/v1/things/1", headers=headers), 401, "dpop-proof-refused")


async def test_unknown_kids_do_not_make_us_hammer_the_issuer(bed: Bed) -> None:
    assert (await bed.call("GET", "/v1/things/1")).status_code == 200
    before = len(bed.fetches)
    bed.clock.advance(11)
    for _ in range(20):
        await bed.call("GET", "/v1/things/1", token=bed.token(key=generate_signing("x")))
    assert len(bed.fetches) - before == 2, "one look at the metadata and one at the keys"


async def test_a_new_issuer_key_is_found_when_first_seen(bed: Bed) -> None:
    assert (await bed.call("GET", "/v1/things/1")).status_code == 200
    bed.published.append(fresh := generate_signing("svc:identity"))
    bed.clock.advance(11)
    assert (await bed.call("GET", "/v1/things/1", token=bed.token(key=fresh))).status_code == 200


async def test_an_issuer_that_never_answered_is_503_and_known_keys_outlive_it(bed: Bed) -> None:
    bed.issuer_up = False
    problem(await bed.call("GET", "/v1/things/1"), 503, "issuer-unreachable")
    bed.issuer_up = True
    assert (await bed.call("GET", "/v1/things/1")).status_code == 200
    bed.issuer_up = False
    bed.clock.advance(700)
    bed.beat()
    assert (await bed.call("GET", "/v1/things/1")).status_code == 200


async def test_a_suspended_agency_is_refused_whatever_its_token_says(bed: Bed) -> None:
    token = bed.token()
    assert (await bed.call("GET", "/v1/things/1", token=token)).status_code == 200
    bed.directory.apply(
        AgencySuspended(agency=AGENCY, reason_code="exercise", state_epoch=2, at=bed.clock.now())
    )
    problem(await bed.call("GET", "/v1/things/1", token=token), 403, "agency-suspended")
    assert bed.refusals[-1].principal is not None, "the token is genuine, so the refusal has a name"
    bed.directory.apply(AgencyRestored(agency=AGENCY, state_epoch=3, at=bed.clock.now()))
    assert (await bed.call("GET", "/v1/things/1", token=token)).status_code == 200


async def test_a_directory_silent_for_over_a_minute_denies(bed: Bed) -> None:
    bed.clock.advance(60)
    assert (await bed.call("GET", "/v1/things/1")).status_code == 200
    bed.clock.advance(1)
    problem(await bed.call("GET", "/v1/things/1"), 503, "directory-stale")
    bed.beat()
    assert (await bed.call("GET", "/v1/things/1")).status_code == 200


async def test_a_system_cannot_pass_for_a_person_and_an_old_sign_in_is_not_fresh(bed: Bed) -> None:
    now = int(bed.clock.now().timestamp())
    path = "/v1/things/1/address"
    scope: dict[str, Any] = {"scope": "contact.read"}
    problem(await bed.call("GET", path, token=bed.token(**scope)), 403, "forbidden")
    answer = await bed.call("GET", path, token=bed.token(sub="p-1", auth_time=now - 301, **scope))
    problem(answer, 401, "step-up-required")
    assert (
        'error="insufficient_user_authentication", max_age="300"'
        in answer.headers["www-authenticate"]
    )
    problem(
        await bed.call("GET", path, token=bed.token(sub="p-1", **scope)), 401, "step-up-required"
    )
    assert (
        await bed.call("GET", path, token=bed.token(sub="p-1", auth_time=now - 300, **scope))
    ).status_code == 200


async def test_scopes_nobody_defined_grant_nothing(bed: Bed) -> None:
    problem(
        await bed.make(token=bed.token(scope="* referral.* REFERRAL.WRITE referral.writer")),
        403,
        "insufficient-scope",
    )
