"""Whoever floods the sign-in is told to wait, and nobody else is locked out by it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

import identity.oauth.routes
from tests.support.identity_stage import ISSUER, Party, Stage, identity_stage
from tests.support.modes import Mode
from tests.support.rate_windows import stand_still

VERIFIER = "v" * 50
SCOPE = "referral.write"
QUOTA = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture
async def stage(
    folder: Path, tmp_path: Path, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    """Identity with small quotas, all requests from one address."""
    stand_still(monkeypatch)
    for name in ("client", "grant", "sign-in", "failures"):
        monkeypatch.setitem(identity.oauth.routes.QUOTAS, name, QUOTA)
    async with identity_stage(folder, mode.url(tmp_path / "identity.db")) as made:
        yield made


@pytest.fixture
def portal(stage: Stage) -> Party:
    return stage.portal()


def _told_to_wait(answer: httpx2.Response) -> None:
    """RFC 6749 section 5.2's members, and RFC 9110's Retry-After."""
    assert answer.status_code == 429, answer.text
    assert 1 <= int(answer.headers["retry-after"]) <= 120
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error"] == "temporarily_unavailable"


@pytest.mark.parametrize("path", ["/token", "/par"])
async def test_a_stranger_who_fails_too_often_is_told_to_wait_and_no_worker_notices(
    stage: Stage, portal: Party, path: str
) -> None:
    """The stranger even shares the address of the portal, as behind one proxy."""
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    signed_in = (await stage.redeem(portal, code, VERIFIER)).json()
    answers = [await stage.post(path, {"client_id": "portal"}) for _ in range(QUOTA + 1)]
    assert [answer.status_code for answer in answers[:-1]] == [401] * QUOTA
    _told_to_wait(answers[-1])
    again = {"grant_type": "refresh_token", "refresh_token": signed_in["refresh_token"]}
    assert (await stage.token(portal, **again)).status_code == 200
    code = await stage.code(portal, VERIFIER, stage.person("idva"))
    assert (await stage.redeem(portal, code, VERIFIER)).status_code == 200
    assert (await stage.token(stage.system("northmoor-police"), scope=SCOPE)).status_code == 200


async def test_a_client_that_asks_too_often_is_told_to_wait_and_others_are_not(
    stage: Stage,
) -> None:
    police, idva = stage.system("northmoor-police"), stage.system("northmoor-idva")
    answers = [await stage.token(police, scope=SCOPE) for _ in range(QUOTA + 1)]
    assert [answer.status_code for answer in answers[:-1]] == [200] * QUOTA
    _told_to_wait(answers[-1])
    assert (await stage.token(idva, scope=SCOPE)).status_code == 200


async def test_one_workers_failures_lock_no_other_worker_out(stage: Stage, portal: Party) -> None:
    """Both sign in through the portal, which is one client at one address."""
    wrong = {"grant_type": "refresh_token", "refresh_token": "stolen"}
    answers = [await stage.token(portal, **wrong) for _ in range(QUOTA + 1)]
    assert [answer.status_code for answer in answers[:-1]] == [400] * QUOTA
    _told_to_wait(answers[-1])
    for _ in range(QUOTA + 1):
        code = await stage.code(portal, VERIFIER, stage.person("idva"))
        assert (await stage.redeem(portal, code, VERIFIER)).status_code == 200


async def test_guessing_sign_ins_is_slowed_and_a_true_one_still_opens(
    stage: Stage, portal: Party
) -> None:
    pushed = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    guess = {"client_id": "portal", "request_uri": "urn:ietf:params:oauth:request_uri:guess"}
    pages = [
        await stage.http.get(f"{ISSUER}/authorize", params=guess),
        *[await stage.click(guess["request_uri"], "nobody") for _ in range(QUOTA)],
    ]
    assert [page.status_code for page in pages] == [400] * QUOTA + [429]
    assert int(pages[-1].headers["retry-after"]) >= 1
    assert "Wait a moment" in pages[-1].text
    assert (await stage.click(pushed, stage.person("idva"))).status_code == 303


async def test_one_sign_in_is_not_tried_for_ever(stage: Stage, portal: Party) -> None:
    pushed, other = [(await stage.push(portal, VERIFIER)).json()["request_uri"] for _ in range(2)]
    tries = [(await stage.click(pushed, "nobody")).status_code for _ in range(QUOTA + 1)]
    assert tries == [403] * QUOTA + [429]
    assert (await stage.click(other, stage.person("idva"))).status_code == 303


async def test_unknown_parameters_at_authorize_are_ignored(stage: Stage, portal: Party) -> None:
    """RFC 6749 section 3.1; the known ones may still not be repeated."""
    pushed = (await stage.push(portal, VERIFIER)).json()["request_uri"]
    asked = [("client_id", "portal"), ("request_uri", pushed)]
    strange = [("ui_locales", "cy"), ("utm", "1"), ("utm", "2"), ("long", "x" * 5_000)]
    page = await stage.http.get(f"{ISSUER}/authorize", params=[*asked, *strange])
    assert page.status_code == 200
    assert "utm" not in page.text
    twice = await stage.http.get(f"{ISSUER}/authorize", params=[*asked, ("client_id", "portal")])
    assert twice.status_code == 400
    form = {**dict(asked), "person": stage.person("idva"), "ui_locales": "cy"}
    done = await stage.post("/authorize", form, **{"Sec-Fetch-Site": "same-origin"})
    assert done.status_code == 303
