"""The same bad bodies at every door that takes one: each service refuses them as documented
problems, repeats nothing, does nothing."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from hubformats.ids import uuid7
from tests.attacks.permissions_table import TABLE, Row
from tests.support.inner_hub import POLICE, InnerHub, inner_hub
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
    "POST /v1/disclosures/{delivery_id}/answer": {"answer": MARKER, "duty": MARKER},
    "POST /v1/release-check-batches": {"caseIds": [MARKER]},
    "POST /v1/release-checks": {"caseId": MARKER, "snapshotVersion": True, "subjectIds": [MARKER]},
}
"""A body of the wrong types for each operation that takes one, beside those of
tests/attacks/test_bad_input.py.
"""
SCOPES = {"operator": "agency.manage", "auditor": "audit.read", "svc-sharing": "case.read"}
AGENCY_OF = {"operator": "northmoor", "auditor": "northmoor", "svc-sharing": "svc:sharing"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub")) as made:
        yield made


def doors(hub: InnerHub, service: str) -> Iterator[tuple[str, str, str, str]]:
    """Operation, path, caller and scope of every operation whose document asks for a JSON body."""
    for path, methods in hub.service(service).app.openapi()["paths"].items():
        for method, operation in methods.items():
            row = TABLE[service][f"{method.upper()} {path}"]
            asks = "application/json" in operation.get("requestBody", {}).get("content", {})
            if asks and isinstance(row, Row):
                scope = operation["security"][0]["hubToken"][0]
                who = next((name for name, held in SCOPES.items() if held == scope), POLICE)
                filled = "/".join(
                    str(uuid7()) if part.startswith("{") else part for part in path.split("/")
                )
                yield f"{method.upper()} {path}", filled, who, scope


@pytest.mark.parametrize("service", ["referral", "sharing", "audit", "identity"])
async def test_a_bad_body_is_refused_at_every_door_and_audited(hub: InnerHub, service: str) -> None:
    tried = 0
    for operation, path, who, scope in doors(hub, service):
        for content, status, code in BAD.values():
            known = len(denials(hub, AGENCY_OF.get(who, who)))
            answer = await hub.call(
                who,
                "POST",
                service,
                path,
                scope=scope,
                content=content,
                headers={"Content-Type": "application/json"},
            )
            if operation.endswith("emergency-release"):
                status_, code_ = 403, "forbidden"  # a system may not, whatever it sends
            else:
                status_, code_ = status, code
            refused(hub, answer, status_, code_)
            await denied_in_the_log(hub, AGENCY_OF.get(who, who), known, code_)
            tried += 1
        wrong = WRONG.get(operation)
        if wrong is not None:
            body = refused(
                hub,
                await hub.call(who, "POST", service, path, scope=scope, json=wrong),
                422,
                "validation-failed",
            )
            assert {fault["pointer"].split("/")[1] for fault in body["errors"]} <= set(wrong), (
                operation
            )
    assert tried > 0


async def test_every_operation_with_a_body_has_a_wrong_one(hub: InnerHub) -> None:
    """A new one fails here until somebody has thought of what is wrong for it."""
    found = {operation for service in TABLE for operation, *_ in doors(hub, service)}
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
    "path", ["/v1/inbox", "/v1/inbox?limit=0", "/v1/inbox?limit=1000", "/v1/inbox?wait=9999"]
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
