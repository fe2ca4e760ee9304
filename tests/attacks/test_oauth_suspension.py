"""A suspended agency gets nothing any more: no token, no sign-in, no use of what it had; and only
the operator decides that."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from common.events.identity import AgencyRestored, AgencySuspended, DirectoryHeartbeat
from hubformats.bootstrap import read_key_set
from tests.support.identity_stage import URLS, Party, Stage, identity_stage, location
from tests.support.modes import Mode

VERIFIER = "v" * 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture
async def stage(folder: Path, tmp_path: Path, mode: Mode) -> AsyncIterator[Stage]:
    async with identity_stage(folder, mode.url(tmp_path / "identity.db")) as made:
        yield made


async def _operator(stage: Stage) -> tuple[Party, str]:
    operator = stage.tool("operator")
    token = (
        await stage.token(operator, scope="agency.manage directory.read", resource=URLS["identity"])
    ).json()["access_token"]
    return operator, token


async def _suspend(
    stage: Stage, agency: str, reason: str = "key-compromise", note: str = "Keys on a lost laptop."
) -> None:
    operator, token = await _operator(stage)
    answer = await stage.call(
        operator,
        token,
        "POST",
        f"/v1/agencies/{agency}/suspension",
        json={"reasonCode": reason, "note": note},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["suspended"] is True


async def test_suspension_stops_tokens_at_once_and_tells_every_service(stage: Stage) -> None:
    police, idva = stage.system("northmoor-police"), stage.system("northmoor-idva")
    token = (await stage.token(police, scope="referral.write")).json()["access_token"]
    await _suspend(stage, "northmoor-police")
    assert (await stage.token(police, scope="referral.write")).json()[
        "error"
    ] == "unauthorized_client"
    assert (await stage.token(idva, scope="referral.write")).status_code == 200
    assert (
        await stage.post("/introspect", stage.service("referral").form(token=token))
    ).json() == {"active": False}
    told = next(event for event in stage.sent.events if isinstance(event, AgencySuspended))
    assert (told.agency, told.reason_code, told.state_epoch) == (
        "northmoor-police",
        "key-compromise",
        1,
    )
    beat = stage.sent.events[-1]
    assert isinstance(beat, DirectoryHeartbeat)
    assert (beat.suspended, beat.state_epoch) == (("northmoor-police",), 1)
    assert set(stage.sent.recipients[-1]) == {
        "svc:referral",
        "svc:sharing",
        "svc:audit",
        "svc:portal",
    }
    entry = next(entry for entry in stage.sent.entries if entry.resource_type == "agency")
    assert (entry.operation, entry.resource_id, entry.reason_code, entry.count) == (
        "permission_change",
        "northmoor-police",
        "key-compromise",
        1,
    )
    assert entry.detail == {"note": "Keys on a lost laptop."}


async def test_a_token_from_before_is_refused_by_identity_itself(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    token = (await stage.token(police, scope="directory.read", resource=URLS["identity"])).json()[
        "access_token"
    ]
    assert (await stage.call(police, token, "GET", "/v1/agencies")).status_code == 200
    await _suspend(stage, "northmoor-police")
    refused = await stage.call(police, token, "GET", "/v1/agencies")
    assert (refused.status_code, refused.json()["code"]) == (403, "agency-suspended")


async def test_people_of_a_suspended_agency_are_signed_out_and_stay_out(stage: Stage) -> None:
    portal, idva = stage.portal(), stage.person("idva")
    waiting = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    code = await stage.code(portal, VERIFIER, idva)
    first = (await stage.redeem(portal, await stage.code(portal, VERIFIER, idva), VERIFIER)).json()
    await _suspend(stage, "northmoor-idva")
    assert location(await stage.click(waiting, idva))["error"] == "access_denied"
    assert (await stage.redeem(portal, code, VERIFIER)).json()["error"] == "unauthorized_client"
    assert (
        await stage.token(portal, grant_type="refresh_token", refresh_token=first["refresh_token"])
    ).json()["error"] == "invalid_grant"


async def test_restoring_lets_new_tokens_out_but_revives_no_old_one(stage: Stage) -> None:
    portal, idva = stage.portal(), stage.person("idva")
    first = (await stage.redeem(portal, await stage.code(portal, VERIFIER, idva), VERIFIER)).json()
    await _suspend(stage, "northmoor-idva")
    operator, token = await _operator(stage)
    path = "/v1/agencies/northmoor-idva/suspension"
    assert (await stage.call(operator, token, "DELETE", path)).status_code == 422
    answer = await stage.call(operator, token, "DELETE", f"{path}?reasonCode=resolved")
    assert answer.json()["suspended"] is False
    assert any(
        isinstance(event, AgencyRestored) and event.state_epoch == 2 for event in stage.sent.events
    )
    assert (
        await stage.token(stage.system("northmoor-idva"), scope="referral.write")
    ).status_code == 200
    assert (
        await stage.token(portal, grant_type="refresh_token", refresh_token=first["refresh_token"])
    ).json()["error"] == "invalid_grant"


async def test_suspending_twice_happens_once(stage: Stage) -> None:
    await _suspend(stage, "northmoor-school")
    await _suspend(stage, "northmoor-school", reason="exercise")
    assert len([event for event in stage.sent.events if isinstance(event, AgencySuspended)]) == 1
    assert len([entry for entry in stage.sent.entries if entry.resource_type == "agency"]) == 1


async def test_only_the_operator_may_suspend(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    token = (await stage.token(police, scope="directory.read", resource=URLS["identity"])).json()[
        "access_token"
    ]
    path, body = "/v1/agencies/northmoor-idva/suspension", {"reasonCode": "exercise"}
    assert (await stage.call(police, token, "POST", path, json=body)).status_code == 403
    assert (await stage.http.post(URLS["identity"] + path, json=body)).status_code == 401
    operator, token = await _operator(stage)
    assert (
        await stage.call(operator, token, "POST", path, json=body, scheme="Bearer")
    ).status_code == 401
    assert (await stage.call(police, token, "POST", path, json=body)).status_code == 401
    assert not [event for event in stage.sent.events if isinstance(event, AgencySuspended)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reasonCode": "because"},
        {"reasonCode": "exercise", "extra": 1},
        {"reasonCode": "exercise", "note": "x" * 2001},
    ],
)
async def test_a_suspension_needs_a_listed_reason(stage: Stage, body: dict[str, object]) -> None:
    operator, token = await _operator(stage)
    answer = await stage.call(
        operator, token, "POST", "/v1/agencies/northmoor-idva/suspension", json=body
    )
    assert answer.status_code == 422
    assert "because" not in answer.text


async def test_an_unknown_agency_is_not_found(stage: Stage) -> None:
    operator, token = await _operator(stage)
    answer = await stage.call(
        operator,
        token,
        "POST",
        "/v1/agencies/southmoor-police/suspension",
        json={"reasonCode": "exercise"},
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert "southmoor" not in answer.text


async def test_without_a_heartbeat_for_sixty_seconds_identity_denies(stage: Stage) -> None:
    police = stage.system("northmoor-police")
    token = (await stage.token(police, scope="directory.read", resource=URLS["identity"])).json()[
        "access_token"
    ]
    stage.clock.advance(61)
    stale = await stage.call(police, token, "GET", "/v1/agencies")
    assert (stale.status_code, stale.json()["code"]) == (503, "directory-stale")
    await stage.pulse.beat()
    assert (await stage.call(police, token, "GET", "/v1/agencies")).status_code == 200


async def test_the_directory_lists_agencies_by_pages_and_keys_under_their_roots(
    stage: Stage,
) -> None:
    police = stage.system("northmoor-police")
    token = (await stage.token(police, scope="directory.read", resource=URLS["identity"])).json()[
        "access_token"
    ]
    first = (await stage.call(police, token, "GET", "/v1/agencies?limit=5")).json()
    rest = (
        await stage.call(police, token, "GET", f"/v1/agencies?limit=5&cursor={first['nextCursor']}")
    ).json()
    assert [len(first["items"]), len(rest["items"])] == [5, 3]
    assert rest.get("nextCursor") is None
    assert {item["id"] for item in first["items"] + rest["items"]} == set(stage.bootstrap.agencies)
    keys = (await stage.http.get(f"{URLS['identity']}/v1/directory/keys")).json()
    for agency in stage.bootstrap.agencies.values():
        assert len(read_key_set(keys["keySets"][agency.id], agency.id, agency.root).keys) == 2
    assert '"d"' not in str(keys).replace("'", '"')


async def test_me_is_for_people(stage: Stage) -> None:
    portal = stage.portal()
    code = await stage.code(portal, VERIFIER, stage.person("idva"), scope="directory.read")
    token = (await stage.redeem(portal, code, VERIFIER, resource=URLS["identity"])).json()[
        "access_token"
    ]
    assert (await stage.call(portal, token, "GET", "/v1/me")).json()["name"] == "Amina Yusuf"
    police = stage.system("northmoor-police")
    machine = (await stage.token(police, scope="directory.read", resource=URLS["identity"])).json()[
        "access_token"
    ]
    assert (await stage.call(police, machine, "GET", "/v1/me")).status_code == 403
