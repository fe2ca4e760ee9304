"""The same bad bodies at every door that takes one: each service refuses them as documented
problems, repeats nothing, does nothing."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import httpx2
import pytest
import pytest_asyncio

from hubformats.ids import uuid7
from tests.attacks.people_table import token_of_a_person
from tests.attacks.permissions_table import TABLE, Row
from tests.support.inner_hub import POLICE, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.support.refusals import MARKER, denials, denied_in_the_log, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

BAD = {
    "2 MB": (b'{"a": "' + b"x" * 2_000_000 + b'"}', 413, "body-too-large"),
    "invalid UTF-8": (b'{"a": "\xff\xfe"}', 400, "malformed-json"),
    "truncated": (b'{"a": "' + MARKER.encode(), 400, "malformed-json"),
    "unknown field": (
        f'{{"zzMarkerZz_07700900461": "{MARKER}"}}'.encode(),
        422,
        "validation-failed",
    ),
    "a text": (f'"{MARKER}"'.encode(), 422, "validation-failed"),
}
WRONG: dict[str, dict[str, Any]] = {
    "POST /v1/disclosures/{delivery_id}/receipt": {"receipt": {MARKER: MARKER}},
    "POST /v1/disclosures/{delivery_id}/acknowledgement": {"role": f"{MARKER} the officer"},
    "POST /v1/decisions/preview": {"caseReference": [MARKER]},
    "POST /v1/queries": {"purpose": MARKER, "justification": 7, "filter": {"subject": MARKER}},
    "POST /v1/verifications": {"leaf": 7, "proof": [MARKER]},
    "POST /v1/agencies/{agency_id}/suspension": {"reasonCode": MARKER},
    "POST /v1/disclosures/decide-again": {
        "deliveryIds": [MARKER],
        "reason": 7,
        "agency": f"{MARKER}!",
        "caseReference": "x",
    },
    "POST /v1/operator/quarantine/discard": {
        "topic": f"{MARKER} topic",
        "why": MARKER,
        "reason": 7,
        "digests": MARKER,
    },
    "POST /v1/operator/quarantine/replay": {
        "topic": f"{MARKER} topic",
        "reason": 7,
        "digests": MARKER,
    },
    "POST /v1/refused-intakes/{refused_id}/acknowledgement": {"reason": MARKER},
    "POST /v1/disclosures/{delivery_id}/answer": {"answer": 7, "duty": [MARKER]},
    "POST /v1/release-check-batches": {"caseIds": [MARKER]},
    "POST /v1/referrals/{referral_id}/vetoes": {
        "kind": MARKER,
        "reasonCode": f"{MARKER}!",
        "reason": 7,
    },
    "POST /v1/referrals/{referral_id}/vetoes/{veto_id}/liftings": {"reasonCode": 7, "reason": []},
    "POST /v1/agency-vetoes": {
        "caseReference": [MARKER],
        "kind": MARKER,
        "reasonCode": f"{MARKER}!",
        "reason": 7,
    },
    "POST /v1/case-vetoes": {
        "referralId": MARKER,
        "kind": MARKER,
        "reasonCode": f"{MARKER}!",
        "reason": 7,
    },
    "POST /v1/case-vetoes/{veto_id}/liftings": {
        "referralId": MARKER,
        "reasonCode": 7,
        "reason": [],
    },
    "POST /v1/veto-liftings/{lifting_id}/confirmation": {"reasonCode": 7, "reason": []},
    "POST /v1/veto-liftings/{lifting_id}/refusal": {"reasonCode": 7, "reason": []},
    "POST /v1/second-looks/{look_id}/outcome": {"outcome": MARKER, "reasonCode": 7, "reason": []},
    "POST /v1/agencies/{agency_id}/key-retirements": {
        "keySet": 7,
        "keyId": MARKER,
        "retiredAt": MARKER,
    },
    "PUT /v1/directory/services/{service}": {"keySet": {MARKER: MARKER}},
    "POST /v1/release-checks": {"caseId": MARKER, "snapshotVersion": True, "subjectIds": [MARKER]},
}
"""A body of the wrong types for each operation that takes one, beside those of
tests/attacks/test_bad_input.py.
"""
SCOPES = {"agency.manage": "operator", "audit.read": "auditor", "case.read": "svc-sharing"}
AGENCY_OF = {"operator": "northmoor", "auditor": "northmoor"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


class Door(NamedTuple):
    """An operation that takes a JSON body, and how to call it; `agency` is whom the log names."""

    operation: str
    path: str
    who: str
    scope: str
    token: str | None
    agency: str


def doors(hub: InnerHub, service: str) -> Iterator[Door]:
    """Every operation whose document asks for a JSON body, with somebody who may call it."""
    for path, methods in hub.service(service).app.openapi()["paths"].items():
        for method, described in methods.items():
            operation = f"{method.upper()} {path}"
            row = TABLE[service][operation]
            asks = "application/json" in described.get("requestBody", {}).get("content", {})
            if not asks or not isinstance(row, Row):
                continue
            scope = described["security"][0]["hubToken"][0]
            filled = "/".join(
                str(uuid7()) if part.startswith("{") else part for part in path.split("/")
            )
            if row.who:
                able = (name for name in (SCOPES.get(scope), POLICE, *sorted(row.who)) if name)
                who = next(name for name in able if name in row.who)
                yield Door(
                    operation,
                    filled,
                    who,
                    scope,
                    None,
                    AGENCY_OF.get(who, who.replace("svc-", "svc:")),
                )
            else:  # named people alone
                token, agency = token_of_a_person(hub, service, operation, scope)
                yield Door(operation, filled, POLICE, scope, token, agency)


async def knock(hub: InnerHub, service: str, door: Door, **body: Any) -> httpx2.Response:
    """One request at that door."""
    method = door.operation.split()[0]
    return await hub.call(
        door.who, method, service, door.path, scope=door.scope, token=door.token, **body
    )


@pytest.mark.parametrize("service", ["referral", "sharing", "audit", "identity"])
async def test_a_bad_body_is_refused_at_every_door_and_audited(hub: InnerHub, service: str) -> None:
    tried = 0
    for door in doors(hub, service):
        for content, status, code in BAD.values():
            known = len(denials(hub, door.agency))
            headers = {"Content-Type": "application/json"}
            answer = await knock(hub, service, door, content=content, headers=headers)
            refused(hub, answer, status, code)
            await denied_in_the_log(hub, door.agency, known, code)
            tried += 1
        wrong = WRONG.get(door.operation)
        if wrong is not None:
            answer = await knock(hub, service, door, json=wrong)
            assert answer.status_code == 422, door.operation
            body = refused(hub, answer, 422, "validation-failed")
            pointed = {fault["pointer"].split("/")[1] for fault in body["errors"]}
            assert pointed <= set(wrong), door.operation
    assert tried > 0


async def test_every_operation_with_a_body_has_a_wrong_one(hub: InnerHub) -> None:
    """A new one fails here until somebody has thought of what is wrong for it."""
    found = {door.operation for service in TABLE for door in doors(hub, service)}
    elsewhere = {
        "POST /v1/referrals",
        "POST /v1/referrals/{referral_id}/must-not-disclose",
        "POST /v1/disclosures/{delivery_id}/emergency-release",
    }
    assert found == set(WRONG) | elsewhere


async def test_an_unknown_agency_in_a_path_is_not_there_and_not_repeated(hub: InnerHub) -> None:
    asked: tuple[tuple[str, dict[str, str] | None], ...] = (
        ("GET", None),
        ("POST", {"reasonCode": "exercise"}),
    )
    for method, body in asked:
        path = f"/v1/agencies/{MARKER.lower()}" + ("" if method == "GET" else "/suspension")
        scope = "directory.read" if method == "GET" else "agency.manage"
        refused(
            hub,
            await hub.call("operator", method, "identity", path, scope=scope, json=body),
            404,
            "not-found",
        )


@pytest.mark.parametrize(
    "path",
    [
        "/v1/inbox",
        "/v1/inbox?limit=0",
        "/v1/inbox?limit=1000",
        "/v1/inbox?wait=9999",
        "/v1/inbox?kind=correction",
    ],
)
async def test_pages_and_waits_have_bounds_and_a_cursor_is_not_made_by_hand(
    hub: InnerHub, path: str
) -> None:
    if "?" in path:
        refused(
            hub,
            await hub.call(POLICE, "GET", "sharing", path, scope="disclosure.read"),
            422,
            "validation-failed",
        )
    forged = f"/v1/inbox?cursor={MARKER}"
    refused(
        hub,
        await hub.call(POLICE, "GET", "sharing", forged, scope="disclosure.read"),
        400,
        "invalid-cursor",
    )
