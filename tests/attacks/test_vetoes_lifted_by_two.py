"""Nobody lifts a veto alone: at the real routes, with tokens that are right in everything else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio

from hubformats.ids import opaque
from sharing.second_look.use_cases import LookContext
from tests.support.inner_hub import CLOCK, FULL, POLICE, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.support.web_harness import problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUSING, IDVA = "northmoor-housing", "northmoor-idva"
WORDS = "Her sister works at that desk."
LIFT = {"reasonCode": "no_longer_so", "reason": WORDS}
TOM = {"sub": "p-tom", "agency": POLICE, "roles": ["police_officer"]}
JESS = {"sub": "p-jess", "agency": POLICE, "roles": ["marac_coordinator"]}
OWEN = {"sub": "p-owen", "agency": "northmoor", "roles": ["privacy_officer"]}
GRACE = {"sub": "p-grace", "agency": "northmoor", "roles": ["privacy_officer"]}
NADIA = {"sub": "p-nadia", "agency": HOUSING, "roles": ["idva_manager"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("vetoes"), mode) as made:
        yield made


def token(hub: InnerHub, who: dict[str, Any], scope: str, **changes: Any) -> str:
    """A person's token, freshly signed in unless told otherwise."""
    now = int(CLOCK.now().timestamp())
    given = {"client_id": "portal", "acr": "urn:hub:acr:demo", "auth_time": now, **who, **changes}
    return hub.minted(POLICE, "referral", scope=scope, **given)


async def post(
    hub: InnerHub, path: str, who: dict[str, Any], body: dict[str, Any], **changes: Any
) -> httpx2.Response:
    """A person's act."""
    officers = path.startswith("/v1/case-vetoes")
    scope = "referral.write" if path.endswith("liftings") and not officers else "case.write"
    key = changes.pop("key", None)
    given = token(hub, who, scope, **changes)
    return await hub.call(POLICE, "POST", "referral", path, token=given, json=body, key=key)


async def refer(hub: InnerHub) -> dict[str, Any]:
    """A referral, taken in."""
    answer = await hub.submit({**FULL, "externalReference": f"T-{opaque(9)}"})
    made: dict[str, Any] = answer.json()
    return made


async def veto(hub: InnerHub, referral: dict[str, Any], kind: str, **more: Any) -> str:
    """Set one as the sender's system. Returns its id."""
    path = f"/v1/referrals/{referral['referralId']}/vetoes"
    reasons = {"must_not_disclose": "worker_linked", "conflict": "declared"}
    body = {"kind": kind, "reasonCode": reasons[kind], "reason": WORDS, **more}
    answer = await hub.submit(body, path=path)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["vetoId"])


async def asked(hub: InnerHub, kind: str = "must_not_disclose") -> tuple[str, str]:
    """A veto on housing that Tom wants lifted: paths of the case's vetoes and of the lifting."""
    referral = await refer(hub)
    veto_id = await veto(hub, referral, kind, agency=HOUSING)
    vetoes = f"/v1/referrals/{referral['referralId']}/vetoes"
    answer = await post(hub, f"{vetoes}/{veto_id}/liftings", TOM, LIFT)
    assert answer.status_code == 201, answer.text
    return vetoes, f"/v1/veto-liftings/{answer.json()['liftingId']}"


async def in_force(hub: InnerHub, vetoes: str) -> list[str]:
    """The kinds in force on housing, as the sender reads them."""
    read = await hub.call(POLICE, "GET", "referral", vetoes, scope="referral.read")
    assert read.status_code == 200, read.text
    return [each["kind"] for each in read.json()["vetoes"] if each["agency"] == HOUSING]


async def test_two_people_lift_and_everybody_is_decided_on_again(hub: InnerHub) -> None:
    vetoes, lifting = await asked(hub)
    shown = await hub.call(POLICE, "GET", "referral", lifting, token=token(hub, JESS, "case.read"))
    told = shown.json()
    assert (told["askedBy"]["role"], told["askedBy"]["you"], told["reason"]) == (
        "police_officer",
        False,
        WORDS,
    )
    assert "p-tom" not in shown.text
    answer = await post(hub, f"{lifting}/confirmation", JESS, LIFT)
    assert (answer.status_code, answer.json()["version"]) == (201, 3)
    assert await in_force(hub, vetoes) == []


@pytest.mark.parametrize(
    ("who", "changes", "status", "code"),
    [
        ({**JESS, "sub": "p-tom"}, {}, 403, "second-person-needed"),
        (TOM, {}, 403, "forbidden"),
        (NADIA, {}, 404, "not-found"),
        (JESS, {"auth_time": int(CLOCK.now().timestamp()) - 16 * 60}, 401, "step-up-required"),
        (JESS, {"auth_time": None}, 401, "step-up-required"),
        (JESS, {"acr": "urn:hub:acr:password"}, 401, "step-up-required"),
        (OWEN, {"acr": None}, 401, "step-up-required"),
        ({**JESS, "client_id": "p-jess"}, {}, 403, "forbidden"),
    ],
    ids=[
        "the-same-person-in-another-role",
        "without-the-role",
        "another-agency",
        "old-sign-in",
        "no-sign-in",
        "password-only",
        "officer-without-means",
        "a-system",
    ],
)
async def test_who_cannot_confirm(
    hub: InnerHub, who: dict[str, Any], changes: dict[str, Any], status: int, code: str
) -> None:
    vetoes, lifting = await asked(hub)
    answer = await post(hub, f"{lifting}/confirmation", who, LIFT, **changes)
    problem(answer, status, code)
    if status == 401:
        challenge = answer.headers["www-authenticate"]
        assert 'error="insufficient_user_authentication"' in challenge
        assert 'max_age="900"' in challenge
        assert "urn:hub:acr:passkey" in challenge
    assert await in_force(hub, vetoes) == ["must_not_disclose"]


async def test_asking_needs_a_fresh_sign_in_too(hub: InnerHub) -> None:
    referral = await refer(hub)
    veto_id = await veto(hub, referral, "must_not_disclose", agency=HOUSING)
    path = f"/v1/referrals/{referral['referralId']}/vetoes/{veto_id}/liftings"
    old = int(CLOCK.now().timestamp()) - 901
    problem(await post(hub, path, TOM, LIFT, auth_time=old), 401, "step-up-required")
    by_system = await hub.submit(LIFT, path=path)
    problem(by_system, 403, "forbidden")
    problem(await post(hub, path, NADIA, LIFT), 404, "not-found")


async def test_a_conflict_is_lifted_from_outside_the_agency_alone(hub: InnerHub) -> None:
    vetoes, lifting = await asked(hub, "conflict")
    problem(await post(hub, f"{lifting}/confirmation", JESS, LIFT), 403, "forbidden")
    assert await in_force(hub, vetoes) == ["conflict"]
    assert (await post(hub, f"{lifting}/confirmation", OWEN, LIFT)).status_code == 201
    assert await in_force(hub, vetoes) == []


async def test_a_replay_lifts_nothing_a_second_time(hub: InnerHub) -> None:
    vetoes, lifting = await asked(hub)
    key, path = opaque(), f"{lifting}/confirmation"
    first = await post(hub, path, JESS, LIFT, key=key)
    again = await post(hub, path, JESS, LIFT, key=key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    problem(await post(hub, path, OWEN, LIFT), 409, "conflict")
    problem(await post(hub, path, OWEN, LIFT, key=key), 409, "conflict")
    assert await in_force(hub, vetoes) == []


async def told_by_sharing(hub: InnerHub, case: str) -> list[tuple[int, str]]:
    """What housing hears of a case from sharing: where its disclosures stand, and a preview."""
    scope = "sharing.request"
    path = f"/v1/disclosures?caseReference={case}"
    listed = await hub.call(HOUSING, "GET", "sharing", path, scope=scope)
    body = {"caseReference": case}
    path = "/v1/decisions/preview"
    preview = await hub.call(HOUSING, "POST", "sharing", path, scope=scope, json=body)
    return [(each.status_code, str(each.json().get("code"))) for each in (listed, preview)]


async def test_a_barred_sender_finds_nothing_like_a_stranger(hub: InnerHub) -> None:
    """Its whole desk is out of its own case, and cannot tell this from a case that never was."""
    answer = await hub.submit({**FULL, "externalReference": f"T-{opaque(9)}"}, HOUSING)
    referral = answer.json()
    path = f"/v1/referrals/{referral['referralId']}"
    body = {
        "kind": "employee_subject",
        "agency": HOUSING,
        "reasonCode": "works_there",
        "reason": WORDS,
    }
    key = opaque()
    first = await hub.submit(body, HOUSING, path=f"{path}/vetoes", key=key)
    assert first.status_code == 201, first.text
    missing = "/v1/referrals/01932000-0000-7000-8000-00000000dead"
    for end in ("", "/vetoes"):
        found, none = [
            await hub.call(HOUSING, "GET", "referral", each + end, scope="referral.read")
            for each in (path, missing)
        ]
        same = {"instance", "correlationId"}
        said = [{n: v for n, v in each.json().items() if n not in same} for each in (found, none)]
        assert (found.status_code, said[0]) == (404, said[1])
    case, unknown = referral["caseReference"], "NM-2222-2222-2222"
    for _ in range(100):  # until sharing has decided on it
        heard = await told_by_sharing(hub, case)
        if heard[0][0] == 404:
            break
        await asyncio.sleep(0.1)
    assert heard == await told_by_sharing(hub, unknown)
    listed = await hub.call(HOUSING, "GET", "referral", "/v1/referrals", scope="referral.read")
    assert referral["referralId"] not in listed.text
    assert (await hub.submit(body, HOUSING, path=f"{path}/vetoes", key=key)).status_code == 404


async def test_a_sender_that_barred_itself_is_let_back_in_by_two_officers(hub: InnerHub) -> None:
    answer = await hub.submit({**FULL, "externalReference": f"T-{opaque(9)}"}, HOUSING)
    referral_id = answer.json()["referralId"]
    own = f"/v1/referrals/{referral_id}"
    body = {"kind": "conflict", "agency": HOUSING, "reasonCode": "declared", "reason": WORDS}
    made = await hub.submit(body, HOUSING, path=f"{own}/vetoes")
    veto_id = made.json()["vetoId"]
    looked = f"/v1/case-vetoes?referralId={referral_id}"
    for who in (NADIA, JESS):
        read = token(hub, who, "case.read")
        problem(await hub.call(POLICE, "GET", "referral", looked, token=read), 403, "forbidden")
    seen = await hub.call(POLICE, "GET", "referral", looked, token=token(hub, OWEN, "case.read"))
    assert veto_id in {each["vetoId"] for each in seen.json()["vetoes"]}
    path, asks = f"/v1/case-vetoes/{veto_id}/liftings", {**LIFT, "referralId": referral_id}
    old = int(CLOCK.now().timestamp()) - 901
    problem(await post(hub, path, OWEN, asks, auth_time=old), 401, "step-up-required")
    problem(await post(hub, path, NADIA, asks), 403, "forbidden")
    key = opaque()
    asked = await post(hub, path, OWEN, asks, key=key)
    assert asked.status_code == 201, asked.text
    again = await post(hub, path, OWEN, asks, key=key)
    assert (again.json(), again.headers["idempotency-replayed"]) == (asked.json(), "true")
    problem(await post(hub, path, GRACE, asks), 409, "conflict")
    confirmation = f"/v1/veto-liftings/{asked.json()['liftingId']}/confirmation"
    problem(await post(hub, confirmation, OWEN, LIFT), 403, "second-person-needed")
    assert (await post(hub, confirmation, GRACE, LIFT)).status_code == 201
    back = await hub.call(HOUSING, "GET", "referral", own, scope="referral.read")
    assert back.status_code == 200


async def test_a_recipient_keeps_itself_out_and_its_words_stay_its_own(hub: InnerHub) -> None:
    """By the reference under which its package names the case; police read nothing of it."""
    referral = await refer(hub)
    assert await hub.outcomes(referral["referralId"]) == {"released"}
    case_id = hub.rows("referral", "SELECT case_id FROM referral ORDER BY id DESC LIMIT 1")[0][0]
    packaged = hub.service("sharing").app.provisions.get(LookContext).context
    reference = packaged.reference(IDVA, UUID(case_id))
    body = {"kind": "employee_subject", "reasonCode": "works_there", "reason": WORDS}
    path = "/v1/agency-vetoes"
    for who, name in (
        (IDVA, "NM-2222-2222-2222"),
        (HOUSING, reference),
        (POLICE, referral["caseReference"]),
    ):
        tried = await hub.submit({**body, "caseReference": name}, who, path=path)
        problem(tried, 404, "not-found")
    for kind in ("must_not_disclose", "location_shield", "informant"):
        wrong = {**body, "caseReference": reference, "kind": kind}
        problem(await hub.submit(wrong, IDVA, path=path), 422, "validation-failed")
    made = await hub.submit({**body, "caseReference": reference.lower()}, IDVA, path=path)
    assert (made.status_code, set(made.json())) == (201, {"vetoId"}), made.text
    problem(
        await hub.submit({**body, "caseReference": reference}, IDVA, path=path), 404, "not-found"
    )
    vetoes = f"/v1/referrals/{referral['referralId']}/vetoes"
    read = await hub.call(POLICE, "GET", "referral", vetoes, scope="referral.read")
    assert made.json()["vetoId"] not in read.text
    named = f"/v1/case-vetoes?recipient={IDVA}&caseReference={reference}"
    seen = await hub.call(POLICE, "GET", "referral", named, token=token(hub, OWEN, "case.read"))
    (found,) = [each for each in seen.json()["vetoes"] if each["vetoId"] == made.json()["vetoId"]]
    assert (found["kind"], found["agency"], found["setBy"]) == ("employee_subject", IDVA, IDVA)
    both = f"{named}&referralId={referral['referralId']}"
    for query in (both, "/v1/case-vetoes", f"/v1/case-vetoes?recipient={IDVA}"):
        tried = await hub.call(
            POLICE, "GET", "referral", query, token=token(hub, OWEN, "case.read")
        )
        problem(tried, 422, "validation-failed")
    asks = {**LIFT, "recipient": IDVA, "caseReference": reference}
    lifting = await post(hub, f"/v1/case-vetoes/{found['vetoId']}/liftings", OWEN, asks)
    assert lifting.status_code == 201, lifting.text
    path = f"/v1/veto-liftings/{lifting.json()['liftingId']}"
    problem(
        await hub.call(POLICE, "GET", "referral", path, token=token(hub, JESS, "case.read")),
        404,
        "not-found",
    )
    assert (await post(hub, f"{path}/confirmation", GRACE, LIFT)).status_code == 201


async def test_an_officer_sets_what_was_declared_to_him_and_nobody_else_by_his_road(
    hub: InnerHub,
) -> None:
    referral = await refer(hub)
    body = {
        "kind": "conflict",
        "agency": HOUSING,
        "reasonCode": "declared",
        "reason": WORDS,
        "referralId": referral["referralId"],
    }
    for who in (TOM, JESS, NADIA):
        problem(await post(hub, "/v1/case-vetoes", who, body), 403, "forbidden")
    assert (await post(hub, "/v1/case-vetoes", OWEN, body)).status_code == 201
    vetoes = f"/v1/referrals/{referral['referralId']}/vetoes"
    assert await in_force(hub, vetoes) == [], "the officer's word, not the sender's"
    shield = {**body, "kind": "informant", "reasonCode": "promised"}
    problem(await post(hub, "/v1/case-vetoes", OWEN, shield), 403, "forbidden")
    gone = {**body, "referralId": "01932000-0000-7000-8000-00000000dead"}
    problem(await post(hub, "/v1/case-vetoes", OWEN, gone), 404, "not-found")


async def test_words_and_people_stay_out_of_lines_and_spans(hub: InnerHub) -> None:
    hub.said()
    _, lifting = await asked(hub, "conflict")
    await post(hub, f"{lifting}/confirmation", OWEN, LIFT)
    said = hub.said()
    assert not [secret for secret in (WORDS, "p-tom", "p-owen") if secret in said]


async def packages(hub: InnerHub, reference: str) -> int:
    """How many deliveries of the sender's case have left to the IDVA service."""
    found = await hub.call(
        POLICE,
        "GET",
        "sharing",
        f"/v1/disclosures?caseReference={reference}",
        scope="sharing.request",
    )
    items = [each for each in found.json()["items"] if each["recipient"] == IDVA]
    return sum(1 for each in items if each["releasedAt"])


async def test_sharing_obeys_a_veto_and_its_lifting(hub: InnerHub) -> None:
    """Set before anything left: the barred service gets nothing. Lifted by two: it gets its part."""
    await hub.client("operator").switch("sharing", "pause")
    try:
        referral = await refer(hub)
        veto_id = await veto(hub, referral, "conflict", agency=IDVA)
    finally:
        await hub.client("operator").switch("sharing", "resume")
    assert await hub.outcomes(referral["referralId"]) == {"released"}
    assert await packages(hub, referral["caseReference"]) == 0
    path = f"/v1/referrals/{referral['referralId']}/vetoes/{veto_id}/liftings"
    lifting = (await post(hub, path, TOM, LIFT)).json()["liftingId"]
    await asyncio.sleep(0.5)
    assert await packages(hub, referral["caseReference"]) == 0, "asking lets nothing leave"
    path = f"/v1/veto-liftings/{lifting}/confirmation"
    assert (await post(hub, path, OWEN, LIFT)).status_code == 201
    for _ in range(200):
        if await packages(hub, referral["caseReference"]):
            break
        await asyncio.sleep(0.1)
    assert await packages(hub, referral["caseReference"]) == 1


async def looks(hub: InnerHub, who: dict[str, Any], reference: str) -> list[dict[str, Any]]:
    """What of this case waits for the officer's second look."""
    now = int(CLOCK.now().timestamp())
    given = {"client_id": "portal", "acr": "urn:hub:acr:demo", "auth_time": now, **who}
    read = hub.minted(POLICE, "sharing", scope="case.read", **given)
    found = await hub.call(POLICE, "GET", "sharing", "/v1/second-looks", token=read)
    assert found.status_code == 200, found.text
    return [each for each in found.json()["items"] if each["caseReference"] == reference]


async def test_each_step_of_a_lifting_is_looked_at_by_an_officer_who_took_no_part(
    hub: InnerHub,
) -> None:
    _, lifting = await asked(hub, "conflict")
    shown = await hub.call(POLICE, "GET", "referral", lifting, token=token(hub, OWEN, "case.read"))
    reference = shown.json()["caseReference"]
    assert (await post(hub, f"{lifting}/confirmation", OWEN, LIFT)).status_code == 201
    found: list[dict[str, Any]] = []
    for _ in range(100):
        found = await looks(hub, GRACE, reference)
        if len(found) == 2:
            break
        await asyncio.sleep(0.1)
    assert [each["act"] for each in found] == ["veto_lifted", "veto_lifting_asked"]
    assert {each["role"] for each in found[0]["parties"]} == {"police_officer", "privacy_officer"}
    mine = await looks(hub, OWEN, reference)
    assert [each["act"] for each in mine] == ["veto_lifting_asked"], "his own is his deputy's"
    path = f"/v1/second-looks/{found[0]['lookId']}"
    body = {"outcome": "reasonable", "reasonCode": "needed", "reason": WORDS}

    async def say(who: dict[str, Any]) -> httpx2.Response:
        now = int(CLOCK.now().timestamp())
        given = {"client_id": "portal", "acr": "urn:hub:acr:demo", "auth_time": now, **who}
        write = hub.minted(POLICE, "sharing", scope="case.write", **given)
        return await hub.call(POLICE, "POST", "sharing", f"{path}/outcome", token=write, json=body)

    problem(await say(OWEN), 404, "not-found")
    problem(await say(JESS), 403, "forbidden")
    assert (await say(GRACE)).json()["state"] == "reasonable"
    problem(await say(GRACE), 409, "conflict")
