"""Bad tokens, other agencies' objects, suspended senders, and danger, never refused for its form."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from hubformats.dpop import make_proof
from hubformats.ids import opaque, uuid7
from hubformats.keys import generate_signing
from tests.support.inner_hub import CLOCK, FULL, POLICE, URGENT, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.support.refusals import MARKER, denials, denied_in_the_log, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUSING = "northmoor-housing"
PATH = "/v1/referrals"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def fresh(form: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The form under a reference of its own."""
    return {**form, "externalReference": f"T-{opaque(9)}", **changes}


# Tokens


async def bad_token(hub: InnerHub, defect: str) -> tuple[str, dict[str, str]]:
    """A token with one defect and the headers that carry it."""
    caller = hub.caller(POLICE)
    good = hub.minted()
    proof = hub.proven(caller.tokens.dpop_key, "POST", "referral", PATH, good)
    stranger = generate_signing("stranger")
    match defect:
        case "expired":
            return hub.minted(life=-60), {}
        case "unbound":
            return hub.minted(cnf=None), {}
        case "wrong audience":
            return await caller.tokens.token(hub.url("sharing"), "disclosure.read"), {}
        case "other issuer":
            return hub.minted(iss=f"http://{MARKER}.example.org"), {}
        case "no agency":
            return hub.minted(agency=None), {}
        case "changed":
            head, claims, signature = good.split(".")
            return f"{head}.{claims}.{signature[:-4]}AAAA", {}
        case "bearer":
            return good, {"Authorization": f"Bearer {good}"}
        case "another key's proof":
            return good, hub.proven(stranger, "POST", "referral", PATH, good)
        case "no proof":
            return good, {"DPoP": ""}
        case "proof for another place":
            return good, {
                "DPoP": make_proof(
                    caller.tokens.dpop_key, "POST", hub.url("referral"), at=CLOCK.now(), token=good
                )
            }
        case "proof used twice":
            await hub.raw("GET", "referral", PATH, headers=proof)
            await hub.raw(
                "POST",
                "referral",
                PATH,
                headers={**proof, "Idempotency-Key": opaque()},
                json=fresh(URGENT),
            )
            return good, proof
        case _:
            return MARKER, {"Authorization": MARKER}


DEFECTS = {
    "expired": "unauthorized",
    "unbound": "unauthorized",
    "wrong audience": "unauthorized",
    "other issuer": "unauthorized",
    "no agency": "unauthorized",
    "changed": "unauthorized",
    "bearer": "unauthorized",
    "nonsense": "unauthorized",
    "another key's proof": "dpop-proof-refused",
    "no proof": "dpop-proof-refused",
    "proof for another place": "dpop-proof-refused",
    "proof used twice": "dpop-proof-refused",
}


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_token_that_proves_nothing_is_refused_and_stores_nothing(
    hub: InnerHub, defect: str
) -> None:
    token, headers = await bad_token(hub, defect)
    before = hub.counts(
        "referral", ["case_file", "referral", "fact_group", "subject_key", "idempotent_answer"]
    )
    answer = await hub.submit(fresh(URGENT, name=MARKER), token=token, headers=headers)
    refused(hub, answer, 401, DEFECTS[defect])
    assert "www-authenticate" in answer.headers
    assert hub.counts("referral", list(before)) == before


async def test_nobody_gets_a_401_before_anything_about_the_body(hub: InnerHub) -> None:
    for content in (b"", b"{", b"x" * 2_000_000):
        answer = await hub.raw(
            "POST", "referral", PATH, content=content, headers={"Content-Type": "application/json"}
        )
        refused(hub, answer, 401, "unauthorized")


async def test_anonymous_refusals_are_one_entry_a_minute(hub: InnerHub) -> None:
    background = hub.service("referral").app.background
    await background.flush()
    for _ in range(37):
        await hub.raw("GET", "referral", f"{PATH}/{uuid7()}")
    await background.flush()
    for _ in range(100):
        counts = [record["n"] for record in denials(hub, "none")]
        if 37 in counts:
            break
        await asyncio.sleep(0.05)
    assert counts.count(37) == 1


async def test_a_missing_scope_is_named_and_audited(hub: InnerHub) -> None:
    known = len(denials(hub, POLICE))
    answer = await hub.submit(fresh(URGENT, name=MARKER), scope="directory.read")
    refused(hub, answer, 403, "insufficient-scope")
    assert 'scope="referral.write"' in answer.headers["www-authenticate"]
    await denied_in_the_log(hub, POLICE, known, "insufficient-scope")


async def test_a_token_names_an_agency_and_nobody_can_act_for_another(hub: InnerHub) -> None:
    """The agency of a referral is the token's: a body cannot say otherwise."""
    body = refused(
        hub, await hub.submit(fresh(URGENT, agency=HOUSING)), 422, "validation-failed", "/agency"
    )
    assert body["errors"][0]["detail"] == "is not a known field"


# Other agencies' objects


def _alike(one: httpx2.Response, other: httpx2.Response) -> None:
    """Same bytes: nothing tells an object that is another's from one that never was."""
    assert one.content == other.content
    kept = [
        [(n, v) for n, v in answer.headers.multi_items() if not n.startswith("ratelimit")]
        for answer in (one, other)
    ]
    assert kept[0] == kept[1]


@pytest.mark.parametrize(
    ("method", "suffix", "scope", "body"),
    [
        ("GET", "", "referral.read", None),
        ("POST", "/must-not-disclose", "referral.write", {"reason": MARKER}),
    ],
)
async def test_anothers_referral_answers_like_none(
    hub: InnerHub, method: str, suffix: str, scope: str, body: dict[str, Any] | None
) -> None:
    theirs = (await hub.submit(fresh(URGENT))).json()["referralId"]
    version = (
        await hub.call(POLICE, "GET", "referral", f"{PATH}/{theirs}", scope="referral.read")
    ).json()["version"]
    known = len(denials(hub, HOUSING))
    headers = {"X-Correlation-ID": str(uuid7())}
    answers = []
    for number, place in enumerate((theirs, str(uuid7()))):
        answer = await hub.call(
            HOUSING,
            method,
            "referral",
            f"{PATH}/{place}{suffix}",
            scope=scope,
            json=body,
            headers=headers,
        )
        refused(hub, answer, 404, "not-found")
        found = await denied_in_the_log(hub, HOUSING, known + number, "not-found")
        answers.append((answer, found[0]))
    _alike(answers[0][0], answers[1][0])
    assert {name: len(str(value)) for name, value in answers[0][1].items()} == {
        name: len(str(value)) for name, value in answers[1][1].items()
    }
    after = (
        await hub.call(POLICE, "GET", "referral", f"{PATH}/{theirs}", scope="referral.read")
    ).json()
    assert after["version"] == version


async def test_anothers_delivery_and_case_reference_answer_like_none(hub: InnerHub) -> None:
    referral = (await hub.submit(fresh(FULL))).json()
    assert await hub.outcomes(referral["referralId"]) == {"released"}
    theirs = (await hub.client("northmoor-idva").inbox(limit=100)).items[-1].delivery_id
    headers = {"X-Correlation-ID": str(uuid7())}
    asked = [
        ("GET", "/v1/inbox/{}", "disclosure.read", None),
        (
            "POST",
            "/v1/disclosures/{}/acknowledgement",
            "disclosure.acknowledge",
            {"role": "housing_officer"},
        ),
    ]
    for method, path, scope, body in asked:
        pair = [
            await hub.call(
                HOUSING,
                method,
                "sharing",
                path.format(place),
                scope=scope,
                json=body,
                headers=headers,
            )
            for place in (theirs, str(uuid7()))
        ]
        for answer in pair:
            refused(hub, answer, 404, "not-found")
        _alike(*pair)
    pair = [
        await hub.call(
            HOUSING,
            "POST",
            "sharing",
            "/v1/decisions/preview",
            scope="sharing.request",
            json={"caseReference": ref},
            headers=headers,
        )
        for ref in (referral["caseReference"], "NM-0000-0000-0000")
    ]
    for answer in pair:
        refused(hub, answer, 404, "not-found")
    _alike(*pair)


async def test_a_role_the_hub_does_not_know_takes_nothing_up_and_a_second_acknowledgement_changes_nothing(
    hub: InnerHub,
) -> None:
    referral = (await hub.submit(fresh(FULL))).json()
    assert await hub.outcomes(referral["referralId"]) == {"released"}
    delivery = (await hub.client("northmoor-idva").inbox(limit=100)).items[-1].delivery_id
    path = f"/v1/disclosures/{delivery}/acknowledgement"

    async def say(role: str) -> httpx2.Response:
        return await hub.call(
            "northmoor-idva",
            "POST",
            "sharing",
            path,
            scope="disclosure.acknowledge",
            json={"role": role},
        )

    answer = await say("king")
    refused(hub, answer, 422, "validation-failed")
    (fault,) = answer.json()["errors"]
    assert (fault["pointer"], "'idva'" in fault["detail"]) == ("/role", True)
    first, second = await say("idva"), await say("idva_manager")
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json(), "the second is told when it was first acknowledged"


# Suspension


async def test_a_suspended_agency_is_refused_with_the_token_it_has_and_comes_back(
    hub: InnerHub,
) -> None:
    sender = "northmoor-health"
    assert (await hub.submit(fresh(URGENT), who=sender)).status_code == 201
    operator, known = hub.client("operator"), len(denials(hub, sender))
    token = await hub.caller(sender).tokens.token(hub.url("referral"), "referral.write")
    await operator.suspend(sender, "exercise")
    try:
        before = hub.counts("referral", ["referral"])
        for _ in range(100):
            answer = await hub.submit(fresh(URGENT, name=MARKER), who=sender, token=token)
            if answer.status_code != 201:
                break
            before = hub.counts("referral", ["referral"])
            await asyncio.sleep(0.05)
        refused(hub, answer, 403, "agency-suspended")
        assert hub.counts("referral", ["referral"]) == before
        await denied_in_the_log(hub, sender, known, "agency-suspended")
    finally:
        await operator.restore(sender, "exercise-ended")
    for _ in range(100):
        answer = await hub.submit(fresh(URGENT), who=sender)
        if answer.status_code == 201:
            break
        if answer.status_code == 401:  # a token of before the suspension stays revoked
            hub.caller(sender).tokens.forget(hub.url("referral"), "referral.write")
        await asyncio.sleep(0.05)
    assert answer.status_code == 201


# Must not disclose


async def test_a_veto_on_an_agency_nobody_knows_is_refused(hub: InnerHub) -> None:
    """A veto on a misspelt name would hold back nobody, and its author would believe it did."""
    referral = (await hub.submit(fresh(URGENT))).json()["referralId"]
    path = f"{PATH}/{referral}/must-not-disclose"
    known = len(denials(hub, POLICE))
    for body, place in (
        ({"agency": "zzmarkerzz", "reason": MARKER}, "/agency"),
        ({"agency": MARKER, "reason": "r"}, "/agency"),
        ({"category": "zzmarkerzz", "reason": MARKER}, "/category"),
        ({"agency": HOUSING}, "/reason"),
        ({"agency": HOUSING, "reason": "r", "until": MARKER}, "/until"),
    ):
        refused(
            hub,
            await hub.call(POLICE, "POST", "referral", path, json=body),
            422,
            "validation-failed",
            place,
        )
    await denied_in_the_log(hub, POLICE, known, "validation-failed")
    read = await hub.call(POLICE, "GET", "referral", f"{PATH}/{referral}", scope="referral.read")
    assert read.json()["version"] == 1
    assert (
        await hub.call(POLICE, "POST", "referral", path, json={"agency": HOUSING, "reason": "r"})
    ).status_code == 201


# Danger is never refused for form


DANGER = [
    pytest.param({**URGENT, "callback": "unknown"}, id="callback-unknown"),
    pytest.param(
        {name: value for name, value in URGENT.items() if name != "callback"},
        id="callback-left-out",
    ),
    pytest.param(
        {**URGENT, "callback": {"note": "after six, by the neighbour"}},
        id="callback-without-number",
    ),
    pytest.param({**URGENT, "name": "unknown", "place": "unknown"}, id="name-and-place-unknown"),
    pytest.param(
        {"form": "urgent", "name": "a woman", "place": "by the canal", "danger": "screams"},
        id="nothing-else",
    ),
    pytest.param({**FULL, "safeContact": {"status": "unknown"}}, id="safe-contact-unknown"),
    pytest.param(
        {name: value for name, value in FULL.items() if name != "risk"}, id="not-assessed"
    ),
    pytest.param(
        {
            **FULL,
            "consent": {"aware": "unknown", "agreesToSupport": "unknown", "lawfulBasis": "6d"},
        },
        id="consent-unknown",
    ),
]


@pytest.mark.parametrize("form", DANGER)
async def test_danger_is_taken_with_what_is_known(hub: InnerHub, form: dict[str, Any]) -> None:
    body = {**form, "externalReference": f"T-{opaque(9)}"} if "externalReference" in form else form
    answer = await hub.submit(body)
    assert answer.status_code == 201, answer.text
    assert await hub.outcomes(answer.json()["referralId"]) == {"released"}


async def test_unknown_safe_contact_reaches_the_advocate_as_do_not_contact(hub: InnerHub) -> None:
    answer = await hub.submit(
        fresh({name: value for name, value in URGENT.items() if name != "callback"})
    )
    assert await hub.outcomes(answer.json()["referralId"]) == {"released"}
    client = hub.client("northmoor-idva")
    contents = [client.open(item).verdict.content for item in (await client.inbox(limit=100)).items]
    unknown = [
        content for content in contents if "Unknown: do not call" in _values(content, "callback")
    ]
    assert unknown
    assert all(content["safeContact"]["doNotContact"] is True for content in unknown)


def _values(content: Mapping[str, Any], category: str) -> list[Any]:
    """The values of one category's section."""
    return [
        item["value"]
        for section in content["sections"]
        if section["category"] == category
        for item in section["items"]
    ]


async def test_an_urgent_form_for_an_area_nobody_serves_is_taken_in_at_home(hub: InnerHub) -> None:
    answer = await hub.submit(fresh(URGENT, area=MARKER))
    assert answer.status_code == 201, answer.text
    assert await hub.outcomes(answer.json()["referralId"]) == {"released"}
    refused(hub, await hub.submit(fresh(FULL, area=MARKER)), 422, "validation-failed", "/area")
