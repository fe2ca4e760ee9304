"""An agency retires a signing key and goes on working: only its root can say so, nothing else in its
set changes, and what a thief has opens nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from common.events.identity import KeyPublished, KeyRetired
from hubformats.bootstrap import read_key_set, sign_key_set
from hubformats.keys import Jwk, SigningKey, generate_signing, retired_jwk
from identity.bootstrap.use_cases.create import _agency_keys
from tests.support.identity_stage import URLS, Party, Stage, identity_stage
from tests.support.modes import Mode

HOUSING, POLICE, IDVA = "northmoor-housing", "northmoor-police", "northmoor-idva"
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hub")


@pytest.fixture
async def stage(folder: Path, tmp_path: Path, mode: Mode) -> AsyncIterator[Stage]:
    async with identity_stage(folder, mode.url(tmp_path / "identity.db")) as made:
        yield made


class Agency:
    """Housing, with its root in its own hands."""

    def __init__(self, stage: Stage, folder: Path, name: str = HOUSING) -> None:
        self.stage, self.name = stage, name
        self.keys = _agency_keys(folder, name)
        self.new = generate_signing(name)
        self.now = stage.clock.now().replace(microsecond=0)
        self.since = self.now - 10 * MINUTE
        entry = stage.bootstrap.agencies[name]
        self.issued = read_key_set(entry.key_set, name, entry.root).issued

    def jwks(self, *more: SigningKey, since: datetime | None = None) -> tuple[Jwk, ...]:
        """Its set with the first key retired, and `more`."""
        first = retired_jwk(self.keys.signing.jwk(), since or self.since, compromised=True)
        return (first, self.keys.opening.public().jwk(), *(key.jwk() for key in more))

    def signed(
        self, jwks: tuple[Jwk, ...], root: SigningKey | None = None, at: int | None = None
    ) -> str:
        """A set, signed now by its root unless told otherwise."""
        return sign_key_set(
            self.name, jwks, root or self.keys.root, self.issued + (1 if at is None else at)
        )

    async def retire(
        self, key_set: str, who: Party | None = None, since: datetime | None = None, **more: Any
    ) -> httpx2.Response:
        """Ask for the retirement."""
        who = who or self.stage.system(self.name)
        token = await self.stage.token(who, scope="key.manage", resource=URLS["identity"])
        body = {
            "keySet": key_set,
            "keyId": self.keys.signing.kid,
            "retiredAt": self.now.isoformat(),
            "compromisedSince": (since or self.since).isoformat(),
            **more,
        }
        path = f"/v1/agencies/{self.name}/key-retirements"
        return await self.stage.call(who, token.json()["access_token"], "POST", path, json=body)


@pytest.fixture
def agency(stage: Stage, folder: Path) -> Agency:
    return Agency(stage, folder)


async def test_a_retired_key_opens_nothing_and_the_new_one_does(
    stage: Stage, agency: Agency
) -> None:
    thief = stage.system(HOUSING)
    token = (await stage.token(thief, scope="referral.write")).json()["access_token"]
    answer = await agency.retire(agency.signed(agency.jwks(agency.new)))
    assert answer.status_code == 200, answer.text
    refused = await stage.token(thief, scope="referral.write")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    asked = stage.service("referral").form(token=token)
    assert (await stage.post("/introspect", asked)).json() == {"active": False}
    owner = Party(thief.id, agency.new, stage.clock)
    assert (await stage.token(owner, scope="referral.write")).status_code == 200
    told = [one for one in stage.sent.events if isinstance(one, KeyRetired | KeyPublished)]
    assert [type(one) for one in told] == [KeyPublished, KeyRetired]
    assert isinstance(told[1], KeyRetired)
    assert (told[1].kid, told[1].at, told[1].compromised) == (
        agency.keys.signing.kid,
        agency.since,
        True,
    )
    (entry,) = [one for one in stage.sent.entries if one.resource_type == "signing-key"]
    assert (entry.operation, entry.recipient, entry.reason_code, entry.count) == (
        "permission_change",
        HOUSING,
        "key-compromised",
        2,
    )


async def test_what_is_served_is_what_the_root_signed_and_repeating_it_changes_nothing(
    stage: Stage, agency: Agency
) -> None:
    key_set = agency.signed(agency.jwks(agency.new))
    assert (await agency.retire(key_set)).status_code == 200
    served = (await stage.http.get(f"{URLS['identity']}/v1/directory/keys")).json()["keySets"]
    assert served[HOUSING] == key_set
    old, new = read_key_set(key_set, HOUSING, agency.keys.root.jwk()).keys[::2]
    assert getattr(old, "compromised_since", None) == int(agency.since.timestamp())
    assert new.kid == agency.new.kid
    again = Party(f"{HOUSING}-system", agency.new, stage.clock)
    assert (await agency.retire(key_set, again)).status_code == 200
    assert len([one for one in stage.sent.entries if one.resource_type == "signing-key"]) == 1


async def test_compromise_is_never_taken_back_nor_made_shorter(
    stage: Stage, agency: Agency
) -> None:
    assert (await agency.retire(agency.signed(agency.jwks(agency.new)))).status_code == 200
    me = Party(f"{HOUSING}-system", agency.new, stage.clock)
    later, earlier = agency.now - MINUTE, agency.now - 20 * MINUTE
    plain = (agency.keys.signing.jwk(), agency.keys.opening.public().jwk(), agency.new.jwk())
    for jwks, since in ((agency.jwks(agency.new, since=later), later), (plain, None)):
        refused = await agency.retire(agency.signed(jwks, at=2), me, since)
        assert (refused.status_code, refused.json()["code"]) == (422, "key-set-refused")
    longer = agency.signed(agency.jwks(agency.new, since=earlier), at=2)
    assert (await agency.retire(longer, me, earlier)).status_code == 200


DEFECTS = {
    "signed by another root": lambda a: a.signed(a.jwks(a.new), generate_signing(HOUSING)),
    "no newer than the one there is": lambda a: a.signed(a.jwks(a.new), at=0),
    "without the opening key": lambda a: a.signed((a.jwks()[0], a.new.jwk())),
    "with the key alive": lambda a: a.signed((a.keys.signing.jwk(), *a.jwks(a.new)[1:])),
    "with no signing key left": lambda a: a.signed(a.jwks()),
    "since another moment": lambda a: a.signed(a.jwks(a.new, since=a.since + MINUTE)),
}


@pytest.mark.parametrize("defect", DEFECTS)
async def test_a_set_that_says_anything_else_counts_for_nothing(
    stage: Stage, agency: Agency, defect: str
) -> None:
    refused = await agency.retire(DEFECTS[defect](agency))
    assert (refused.status_code, refused.json()["code"]) == (422, "key-set-refused"), defect
    assert (await stage.token(stage.system(HOUSING), scope="referral.write")).status_code == 200
    assert not [one for one in stage.sent.events if isinstance(one, KeyRetired)]


async def test_nobody_retires_anothers_key_and_a_future_moment_is_refused(
    stage: Stage, agency: Agency
) -> None:
    key_set = agency.signed(agency.jwks(agency.new))
    assert (await agency.retire(key_set, stage.system(POLICE))).status_code == 404
    ahead = datetime(2200, 1, 1, tzinfo=UTC)
    late = agency.signed(agency.jwks(agency.new, since=ahead))
    assert (await agency.retire(late, since=ahead)).json()["code"] == "key-set-refused"
    unknown = await agency.retire(key_set, keyId=agency.keys.opening.kid)
    assert unknown.json()["code"] == "key-set-refused"
    assert (await agency.retire(key_set, stage.tool("operator"))).status_code == 200


async def test_a_key_that_the_portal_keeps_is_not_retired_behind_its_back(
    stage: Stage, folder: Path
) -> None:
    idva = Agency(stage, folder, IDVA)
    refused = await idva.retire(idva.signed(idva.jwks(idva.new)))
    assert refused.json()["code"] == "key-set-refused"
