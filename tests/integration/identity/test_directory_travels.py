"""What identity knows reaches another service over the bus, survives a restart, and leaves records
on the way to the log."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from common import topics
from common.database import Database, ensure_schema, new_metadata
from common.directory import DirectoryKeys, DirectoryState, follow
from common.events.audit import AuditBatch
from common.inbox import Inbox, inbox_tables
from common.keyring import FileKeyring
from common.outbox import Outbox, outbox_tables
from common.problems import Problem
from hubformats.audit_record import check_record
from hubformats.bootstrap import SERVICE_KEY
from hubformats.canonical import parse, unb64u
from hubformats.clock import SystemClock
from hubformats.dpop import make_proof
from hubformats.envelope import open_envelope
from hubformats.keys import StaticKeys, generate_signing, signing_from_jwk
from tests.support.identity_service import Running, running_identity
from tests.support.identity_stage import ASSERTION_TYPE, assertion


async def until(truth: Callable[[], bool | Awaitable[bool]], patience: float = 20.0) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(patience):
        while True:
            found = truth()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def follower(identity: Running, folder: Path) -> AsyncIterator[DirectoryState]:
    """Sharing, as far as it follows the directory."""
    clock, metadata = SystemClock(), new_metadata()
    outbox_tables(metadata)
    inbox_tables(metadata)
    database = Database(f"sqlite:///{folder}/follower.db", clock=clock, name="sharing")
    keyring = FileKeyring(
        identity.folder / "keyring" / "sharing", passphrase=None, open_allowed=True
    )
    keys = DirectoryKeys(identity.bootstrap, identity.url, identity.http, clock)
    bus = identity.bus.door("sharing")
    outbox = Outbox(database, bus, clock=clock, sender=keyring.signing_key(SERVICE_KEY), keys=keys)
    inbox = Inbox(
        database,
        outbox,
        clock=clock,
        me="svc:sharing",
        opening=lambda: keyring.opening_keys(SERVICE_KEY),
        keys=keys,
    )
    state = DirectoryState(clock)
    follow(inbox, state, keys)
    await database.start()
    await ensure_schema(database, metadata)
    await inbox.consume(bus, group="sharing.directory", topics=[topics.IDENTITY])
    try:
        yield state
    finally:
        await inbox.stop()
        await database.stop()


async def operate(
    identity: Running, method: str, path: str, body: dict[str, str] | None = None
) -> httpx2.Response:
    """Call identity as the operator, by hand: assertion, proof, token, proof, call."""
    key = signing_from_jwk(
        parse((identity.folder / "demo" / "keys" / "operator.json").read_bytes()), "northmoor"
    )
    dpop = generate_signing("dpop")
    answer = await identity.http.post(
        f"{identity.url}/token",
        data={
            "grant_type": "client_credentials",
            "scope": "agency.manage",
            "resource": identity.url,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion("operator", key, identity.url),
        },
        headers={"DPoP": make_proof(dpop, "POST", f"{identity.url}/token", at=SystemClock().now())},
    )
    token = answer.json()["access_token"]
    url = identity.url + path
    proof = make_proof(dpop, method, url, at=SystemClock().now(), token=token)
    return await identity.http.request(
        method, url, json=body, headers={"Authorization": f"DPoP {token}", "DPoP": proof}
    )


async def test_suspension_reaches_a_service_and_outlives_a_restart(tmp_path: Path) -> None:
    async with running_identity(tmp_path) as identity, follower(identity, tmp_path) as state:
        await until(state.fresh)
        state.demand("northmoor-police")
        path = "/v1/agencies/northmoor-police/suspension"
        answer = await operate(identity, "POST", path, {"reasonCode": "key-compromise"})
        assert answer.status_code == 200, answer.text
        await until(lambda: state.suspended("northmoor-police"))
        with pytest.raises(Problem, match="agency-suspended"):
            state.demand("northmoor-police")
        state.demand("northmoor-idva")
    async with running_identity(tmp_path) as identity, follower(identity, tmp_path) as state:
        await until(state.fresh)
        assert state.suspended("northmoor-police")
        assert (await operate(identity, "DELETE", f"{path}?reasonCode=resolved")).json()[
            "suspended"
        ] is False
        await until(lambda: not state.suspended("northmoor-police"))
        state.demand("northmoor-police")


async def test_tokens_and_suspensions_leave_signed_records_without_names(tmp_path: Path) -> None:
    async with running_identity(tmp_path) as identity:
        await operate(
            identity,
            "POST",
            "/v1/agencies/northmoor-school/suspension",
            {"reasonCode": "exercise", "note": "Zebedee asked."},
        )
        ring = FileKeyring(tmp_path / "keyring" / "audit", passphrase=None, open_allowed=True)
        keys = StaticKeys(*identity.bootstrap.public_keys())

        records: list[dict[str, object]] = []

        async def complete() -> bool:
            records.clear()
            for one in await identity.bus.read(topics.audit("identity")):
                opened = open_envelope(
                    one.value, me="svc:audit", opening=ring.opening_keys(SERVICE_KEY), keys=keys
                )
                assert opened.source == "svc:identity"
                assert "Zebedee" not in str(opened.data)
                records.extend(
                    check_record(unb64u(item.record))
                    for item in AuditBatch.model_validate(opened.data).items
                )
            return {"login", "permission_change"} <= {str(record["op"]) for record in records}

        await until(complete)
    suspension = next(record for record in records if record["op"] == "permission_change")
    assert (suspension["rcp"], suspension["why"], suspension["out"]) == (
        "northmoor-school",
        "exercise",
        "done",
    )
    assert "Zebedee" not in str(records)
