"""Referrals through the real services: each agency gets exactly its part, proven, signs for it, and
the referrer hears back."""

import json
from pathlib import Path
from typing import Any

import pytest

from common import topics
from common.bus import Outgoing
from common.directory import DirectoryKeys
from common.keyring import FileKeyring
from hubformats import jws
from hubformats.agency_events import DeliveryAcknowledged, SavedReceipt
from hubformats.bootstrap import TOKEN_KEY
from hubformats.canonical import canonical, unb64u
from hubformats.dpop import make_proof
from hubformats.envelope import Message, peek, routing_headers, seal
from hubformats.ids import opaque, uuid7
from hubformats.keys import generate_signing
from hubpartner.answers import ProblemAnswer
from hubpartner.calls import Call
from hubpartner.delivery import Delivery, saved_receipt
from sharing.agreements.repository import AgreementRefused, signature_path
from sharing.decisions.use_cases.run import DecisionContext
from sharing.disclosures.worker import Releases
from sharing.wiring import sign_agreement
from tests.support.road import BASE, Road, example, road, until

IDVA, CARE, SUPPORT, POLICE = (
    "northmoor-idva",
    "northmoor-social-care",
    "northmoor-victim-support",
    "northmoor-police",
)


def releases(hub: Road) -> Releases:
    """Sharing's release worker."""
    return next(part for part in hub.services["sharing"]._pausable if isinstance(part, Releases))


async def ask(hub: Road, agency: str, method: str, path: str, scope: str, **more: Any) -> Any:
    """A call to sharing as an agency's system."""
    call = Call(method, path, scope, **more)
    return await hub.partner(agency)._services["sharing"].send(call)


async def outcomes(hub: Road, referral_id: str) -> dict[str, str]:
    """What the referrer reads, by recipient."""
    read = await hub.partner(POLICE).read_referral(referral_id)
    return {each["recipient"]: each["state"] for each in read["outcomes"]}


async def saved(hub: Road, agency: str, delivery: Delivery) -> dict[str, Any]:
    return await hub.partner(agency).send_receipt(delivery, "case-system")


def each_part_is_its_own(got: dict[str, Delivery], preview: dict[str, Any], reference: str) -> None:
    """Check content, shielded places, references and categories of the three deliveries."""
    for name, delivery in got.items():
        assert delivery.verdict.standing == "proven"
        shown = next(each["content"] for each in preview["recipients"] if each["agency"] == name)
        assert canonical(shown) == unb64u(delivery.package.content), (
            "a preview is the delivery, byte for byte"
        )
        for private in ("Larkspur", "NZ9 4QX", "Fellgate"):
            assert private not in json.dumps(delivery.verdict.content), (
                "a shielded address leaves to nobody"
            )
    references = {str(delivery.verdict.content["caseReference"]) for delivery in got.values()} | {
        reference
    }
    assert len(references) == 4, "each agency knows the case by its own reference"
    told = {
        name: {section["category"] for section in delivery.verdict.content["sections"]}
        for name, delivery in got.items()
    }
    assert {"risk_answers", "victim_identity", "child_identity"} <= told[IDVA]
    assert "child_identity" in told[CARE]
    assert not told[CARE] & {"victim_address", "victim_phone", "risk_answers"}
    assert told[SUPPORT] <= {"concern", "victim_identity", "victim_phone", "victim_area"}


async def test_each_agency_receives_its_part_with_proof_and_signs(tmp_path: Path) -> None:
    async with road(tmp_path) as hub:
        sent = await hub.refer(example("referral-full"))
        await until(lambda: _states(hub, sent, {IDVA: "released"}))
        preview = await ask(
            hub,
            POLICE,
            "POST",
            "/v1/decisions/preview",
            "sharing.request",
            json={"caseReference": sent["caseReference"]},
        )
        got = {name: (await hub.received(name))[0] for name in (IDVA, CARE, SUPPORT)}
        each_part_is_its_own(got, preview, sent["caseReference"])
        for name in (
            "northmoor-housing",
            "northmoor-school",
            "northmoor-probation",
            "northmoor-health",
        ):
            assert await hub.received(name, wait=0) == []

        await until(
            lambda: _states(hub, sent, {IDVA: "released", CARE: "released", SUPPORT: "released"})
        )
        await saved(hub, IDVA, got[IDVA])
        await ask(
            hub,
            IDVA,
            "POST",
            f"/v1/disclosures/{got[IDVA].delivery_id}/acknowledgement",
            "disclosure.acknowledge",
            json={"role": "idva"},
        )
        await until(lambda: _states(hub, sent, {IDVA: "saved"}))
        item = (await hub.partner(IDVA).inbox()).items[0]
        assert item.state == "acknowledged"


async def _states(hub: Road, sent: dict[str, Any], wanted: dict[str, str]) -> bool:
    found = await outcomes(hub, sent["referralId"])
    return all(found.get(name) == state for name, state in wanted.items())


async def test_the_topic_and_the_inbox_are_two_doors_to_the_same_bytes(tmp_path: Path) -> None:
    async with road(tmp_path) as hub:
        await hub.refer(example("referral-full"))
        item = (await hub.partner(IDVA).inbox(wait=10)).items[0]
        await until(lambda: _arrived(hub))
        carried = await hub.bus.read(topics.disclosure(IDVA))
        assert [record.value for record in carried] == [item.envelope]
        assert peek(item.envelope).to == (IDVA,)


async def _arrived(hub: Road) -> bool:
    return bool(await hub.bus.read(topics.disclosure(IDVA)))


async def test_anothers_delivery_is_not_there(tmp_path: Path) -> None:
    async with road(tmp_path) as hub:
        await hub.refer(example("referral-full"))
        mine = (await hub.received(IDVA))[0]
        for path in (f"/v1/inbox/{mine.delivery_id}", f"/v1/inbox/{uuid7()}"):
            with pytest.raises(ProblemAnswer, match="404 not-found"):
                await ask(hub, CARE, "GET", path, "disclosure.read")
        with pytest.raises(ProblemAnswer, match="404 not-found"):
            await ask(
                hub,
                CARE,
                "POST",
                "/v1/decisions/preview",
                "sharing.request",
                json={"caseReference": mine.verdict.content["caseReference"]},
            )
        cursor = (await hub.partner(IDVA).inbox()).cursor
        with pytest.raises(ProblemAnswer, match="invalid-cursor"):
            await hub.partner(CARE).inbox(cursor=cursor)


async def test_a_paused_log_stops_release_and_lets_it_go_on_once_each(tmp_path: Path) -> None:
    async with road(tmp_path) as hub:
        await hub.services["audit"].pause()
        sent = await hub.refer(example("referral-full"))
        await until(lambda: _states(hub, sent, {IDVA: "decided"}))
        assert await hub.received(IDVA, wait=1) == []
        assert await hub.bus.read(topics.disclosure(IDVA)) == []
        listed = await ask(
            hub,
            POLICE,
            "GET",
            "/v1/disclosures",
            "sharing.request",
            params={"caseReference": sent["caseReference"]},
        )
        assert {each["state"] for each in listed["items"]} == {"awaiting_receipt"}
        await hub.services["audit"].resume()
        assert len(await hub.received(IDVA)) == 1
        assert len(await hub.received(CARE)) == 1
        await until(lambda: _arrived(hub))
        assert len(await hub.bus.read(topics.disclosure(IDVA))) == 1


async def test_a_veto_set_between_receipt_and_release_lets_nothing_leave(tmp_path: Path) -> None:
    async with road(tmp_path) as hub:
        releases(hub).pause()
        sent = await hub.refer(example("referral-full"))
        await until(lambda: _proven(hub, sent))
        sharing = hub.services["sharing"]
        await sharing.pause()
        await hub.partner(POLICE).forbid_disclosure(
            sent["referralId"], agency=IDVA, category="*", reason="Her sister works there."
        )
        await sharing.resume()
        assert len(await hub.received(CARE)) == 1, "others go on, under the new decision"
        assert await hub.received(IDVA, wait=1) == []
        assert await hub.bus.read(topics.disclosure(IDVA)) == []


async def _proven(hub: Road, sent: dict[str, Any]) -> bool:
    try:
        listed = await ask(
            hub,
            POLICE,
            "GET",
            "/v1/disclosures",
            "sharing.request",
            params={"caseReference": sent["caseReference"]},
        )
    except ProblemAnswer:  # sharing has not heard of the case yet
        return False
    return bool(listed["items"]) and {each["state"] for each in listed["items"]} == {"proven"}


async def test_without_referrals_answer_nothing_leaves(tmp_path: Path) -> None:
    async with road(tmp_path) as hub:
        releases(hub).pause()
        sent = await hub.refer(example("referral-full"))
        await until(lambda: _proven(hub, sent))
        await hub.services["referral"].pause()
        releases(hub).resume()
        assert await hub.received(IDVA, wait=1) == []
        await hub.services["referral"].resume()
        assert len(await hub.received(IDVA, wait=20)) == 1


async def test_receipts_come_by_the_agencys_own_topic_and_nobody_speaks_for_another(
    tmp_path: Path,
) -> None:
    async with road(tmp_path) as hub:
        sent = await hub.refer(example("referral-full"))
        mine, theirs = (await hub.received(IDVA))[0], (await hub.received(CARE))[0]
        sharing_key = hub.sharing(DirectoryKeys).recipient("svc:sharing")
        assert sharing_key is not None

        async def say(
            agency: str, event: SavedReceipt | DeliveryAcknowledged, topic: str, number: int
        ) -> None:
            profile = hub.partner(agency).profile
            value = seal(
                Message(
                    type=event.TYPE,
                    version=event.VERSION,
                    data=event.data(),
                    stream=agency,
                    seq=number,
                    id=uuid7(),
                    issued_at=hub.sharing(DecisionContext).now(),
                ),
                sender=profile.signing,
                recipients=[sharing_key],
            )
            await hub.bus.publish(
                [
                    Outgoing(
                        topics.inbound(topic), agency.encode(), value, routing_headers(peek(value))
                    )
                ]
            )

        forged = saved_receipt(theirs, signer=hub.partner(IDVA).profile.signing, system="x")
        await say(IDVA, SavedReceipt(receipt=forged), CARE, 1)
        good = saved_receipt(mine, signer=hub.partner(IDVA).profile.signing, system="case-system")
        await say(IDVA, SavedReceipt(receipt=good), IDVA, 1)
        await until(lambda: _states(hub, sent, {IDVA: "saved"}))
        await until(lambda: _quarantined(hub))
        assert (await outcomes(hub, sent["referralId"]))[CARE] == "released"


async def _quarantined(hub: Road) -> bool:
    return bool(await hub.bus.read(topics.quarantine(topics.inbound(CARE))))


async def test_a_person_releases_in_an_emergency_while_the_log_is_silent(tmp_path: Path) -> None:
    async with road(tmp_path) as hub:
        await hub.services["audit"].pause()
        sent = await hub.refer(example("referral-urgent"))
        await until(lambda: _states(hub, sent, {IDVA: "decided"}))
        listed = await ask(
            hub,
            POLICE,
            "GET",
            "/v1/disclosures",
            "sharing.request",
            params={"caseReference": sent["caseReference"]},
        )
        path = f"/v1/disclosures/{listed['items'][0]['deliveryId']}/emergency-release"
        why = {
            "code": "imminent_danger_to_life",
            "reason": "He is at the door with petrol; the log does not answer.",
        }
        with pytest.raises(ProblemAnswer, match="403 forbidden"):
            await ask(hub, POLICE, "POST", path, "sharing.request", json=why)
        coordinator = {"sub": "p-jess-marlow", "agency": POLICE, "roles": ["marac_coordinator"]}
        answer = await as_person(hub, coordinator, "POST", path, why)
        assert answer["standing"] == "promised"
        assert [each.verdict.standing for each in await hub.received(IDVA)] == ["promised"]
        await hub.services["audit"].resume()
        await until(lambda: _keeps(hub), seconds=30)
        assert [each.verdict.standing for each in await hub.received(IDVA)] == [
            "promised",
            "proven",
        ]


async def _keeps(hub: Road) -> bool:
    await releases(hub).maintain()
    return len((await hub.partner(IDVA).inbox()).items) == 2


async def as_person(
    hub: Road,
    person: dict[str, Any],
    method: str,
    path: str,
    body: dict[str, Any],
) -> dict[str, Any]:
    """A call with a token as identity would issue it to a person who has just signed in."""
    key, me = (
        FileKeyring(
            hub.folder / "keyring" / "identity", passphrase=None, open_allowed=True
        ).signing_key(TOKEN_KEY),
        generate_signing("portal"),
    )
    now = int(hub.sharing(DecisionContext).now().timestamp())
    claims = {
        "iss": f"{BASE}/identity",
        **person,
        "aud": f"{BASE}/sharing",
        "client_id": "portal",
        "scope": "sharing.request",
        "cnf": {"jkt": me.kid},
        "jti": opaque(),
        "iat": now,
        "exp": now + 300,
        "acr": "urn:hub:acr:demo",
        "auth_time": now,
    }
    token = jws.sign(claims, key, typ="at+jwt")
    url = f"{BASE}/sharing{path}"
    proof = make_proof(me, method, url, at=hub.sharing(DecisionContext).now(), token=token)
    answer = await hub.http.request(
        method, url, json=body, headers={"Authorization": f"DPoP {token}", "DPoP": proof}
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_agreements_are_there_to_be_read(tmp_path: Path) -> None:
    async with road(tmp_path, without=("audit",)) as hub:
        found = (await ask(hub, IDVA, "GET", "/v1/agreements", "directory.read"))["items"][0]
        assert [clause["id"] for clause in found["clauses"]] == ["NM-1", "NM-2", "NM-3", "NM-4"]
        assert "forbid" in found["rules"]["vetoes.cedar"]


async def test_the_agreement_is_used_signed_and_refused_when_the_signature_is_anothers(
    tmp_path: Path,
) -> None:
    async with road(tmp_path):
        pass
    sign_agreement(tmp_path, "northmoor")
    async with road(tmp_path):
        pass
    place = signature_path(tmp_path, "northmoor")
    place.write_text(place.read_text("utf-8")[:-8] + "AAAAAAA\n", "utf-8")
    with pytest.raises(AgreementRefused):
        async with road(tmp_path):
            pass


async def test_a_restart_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    async with road(tmp_path) as hub:
        releases(hub).pause()
        sent = await hub.refer(example("referral-full"))
        await until(lambda: _proven(hub, sent))
    async with road(tmp_path) as hub:
        first = await hub.received(IDVA)
        assert len(first) == 1
        await until(lambda: _arrived(hub))
    async with road(tmp_path) as hub:
        again = await hub.received(IDVA)
        assert [each.envelope_digest for each in again] == [each.envelope_digest for each in first]
        assert len(await hub.bus.read(topics.disclosure(IDVA))) == 1
