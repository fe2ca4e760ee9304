"""Identity's ports, held to the same promises in memory, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from common.database import Database, ensure_schema
from common.events import Event
from common.events.identity import AgencyRestored
from common.testing import ManualClock
from hubformats.audit_record import Actor, AuditEntry
from identity.agencies.model import AgencyState
from identity.agencies.ports import Agencies, AgencyStore, AgencyTx, ServiceKeySets
from identity.agencies.repository import SqlAgencies, SqlServiceKeySets
from identity.oauth.model import ENDED_LISTED, SHIFT, Code, Issued, Pushed, TokenFamily
from identity.oauth.ports import (
    AccessTokens,
    Codes,
    OAuthStore,
    OAuthTx,
    PushedRequests,
    SeenOnce,
    TokenFamilies,
)
from identity.oauth.repository import (
    SignInSeals,
    SqlAccessTokens,
    SqlCodes,
    SqlPushedRequests,
    SqlSeenOnce,
    SqlTokenFamilies,
)
from identity.tables import METADATA
from identity.wiring import SqlStore, SqlTx
from tests.support.identity_fakes import (
    MemoryAccessTokens,
    MemoryAgencies,
    MemoryCodes,
    MemoryIdentity,
    MemoryPushedRequests,
    MemorySeenOnce,
    MemoryServiceKeySets,
    MemoryTokenFamilies,
    MemoryTx,
)
from tests.support.identity_stage import Sent
from tests.support.port_suites import Held

PORTS: Final = (
    Held(Agencies, (SqlAgencies,), MemoryAgencies),
    Held(ServiceKeySets, (SqlServiceKeySets,), MemoryServiceKeySets),
    Held(SeenOnce, (SqlSeenOnce,), MemorySeenOnce),
    Held(PushedRequests, (SqlPushedRequests,), MemoryPushedRequests),
    Held(Codes, (SqlCodes,), MemoryCodes),
    Held(TokenFamilies, (SqlTokenFamilies,), MemoryTokenFamilies),
    Held(AccessTokens, (SqlAccessTokens,), MemoryAccessTokens),
    *(Held(tx, (SqlTx,), MemoryTx) for tx in (AgencyTx, OAuthTx)),
    *(Held(store, (SqlStore,), MemoryIdentity) for store in (AgencyStore, OAuthStore)),
)

MINUTE = timedelta(minutes=1)


@dataclass
class Kit:
    """A store and its clock."""

    store: Any
    clock: ManualClock
    said: Callable[[], tuple[list[Event], list[AuditEntry]]]
    """What was published and recorded."""

    def code(self, name: str = "code") -> Code:
        """A code that lives for a minute."""
        return Code(
            digest=name,
            grant_id="family",
            client_id="portal",
            redirect_uri="https://hub.example.org/cb",
            scope="case.read",
            subject="per-1",
            code_challenge="c" * 43,
            jkt="",
            resource="",
            acr="acr",
            auth_time=1,
            expires_at=self.clock.now() + MINUTE,
        )

    def family(self, name: str = "family", agency: str = "a") -> TokenFamily:
        """A family that lives for a shift."""
        return TokenFamily(
            id=name,
            client_id="portal",
            subject="per-1",
            agency=agency,
            scope="case.read",
            jkt="j" * 43,
            resource="",
            acr="acr",
            auth_time=1,
            refresh_digest=f"refresh-{name}",
            expires_at=self.clock.now() + SHIFT,
        )

    def token(self, jti: str, *, family: str = "", agency: str = "a") -> Issued:
        """A token that lives for five minutes."""
        expires = self.clock.now() + 5 * MINUTE
        return Issued(jti, family, "portal", "per-1", agency, "https://x", "case.read", expires)


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    clock = ManualClock()
    if request.param == "memory":
        hub = MemoryIdentity(clock)
        yield Kit(hub, clock, lambda: (hub.rows.published, hub.rows.recorded))
        return
    url = f"sqlite:///{tmp_path}/hub.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").database(f"t{uuid4().hex[:16]}")
    database, sent = Database(url, clock=clock, name="identity"), Sent()
    await database.start()
    await ensure_schema(database, METADATA)
    yield Kit(
        SqlStore(database, clock, sent, sent, SignInSeals(bytes(32))),
        clock,
        lambda: (sent.events, sent.entries),
    )
    await database.stop()


async def test_a_value_is_claimed_once_for_each_purpose(kit: Kit) -> None:
    until = kit.clock.now() + MINUTE
    claimed = [
        await kit.store.write(lambda tx, by=purpose: tx.seen.claim(by, "value", until))
        for purpose in ("dpop", "dpop", "assertion")
    ]
    assert claimed == [True, False, True]


async def test_a_transaction_that_fails_leaves_nothing(kit: Kit) -> None:
    def work(tx: Any) -> None:
        tx.seen.claim("dpop", "value", kit.clock.now() + MINUTE)
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        await kit.store.write(work)
    assert await kit.store.write(
        lambda tx: tx.seen.claim("dpop", "value", kit.clock.now() + MINUTE)
    )


async def test_events_and_records_leave_with_the_transaction_or_not_at_all(kit: Kit) -> None:
    now = kit.clock.now()
    event = AgencyRestored(agency="a", state_epoch=1, at=now)
    actor = Actor(subject="i|operator", agency="northmoor")
    entry = AuditEntry(operation="permission_change", outcome="done", actor=actor)

    def work(tx: Any) -> None:
        tx.publish(event)
        tx.record(entry)

    def fails(tx: Any) -> None:
        work(tx)
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        await kit.store.write(fails)
    assert kit.said() == ([], [])
    await kit.store.write(work)
    assert kit.said() == ([event], [entry])


async def test_a_pushed_request_is_completed_once_and_before_it_expires(kit: Kit) -> None:
    for name in ("one", "two"):
        pushed = Pushed(name, "portal", {"scope": "case.read"}, "", kit.clock.now() + MINUTE)
        await kit.store.write(lambda tx, it=pushed: tx.requests.save(it))
    assert (await kit.store.read(lambda tx: tx.requests.find("one"))).parameters == {
        "scope": "case.read"
    }
    assert await kit.store.write(lambda tx: tx.requests.complete("one"))
    assert not await kit.store.write(lambda tx: tx.requests.complete("one"))
    assert await kit.store.read(lambda tx: tx.requests.find("one")) is None
    kit.clock.advance(MINUTE)
    assert await kit.store.read(lambda tx: tx.requests.find("two")) is None
    assert not await kit.store.write(lambda tx: tx.requests.complete("two"))


async def test_a_code_is_consumed_once_and_then_known_as_used(kit: Kit) -> None:
    code, late = kit.code(), kit.code("late")
    await kit.store.write(lambda tx: (tx.codes.save(code), tx.codes.save(late)))
    assert await kit.store.read(lambda tx: tx.codes.used("code")) is None
    assert await kit.store.write(lambda tx: tx.codes.consume("code")) == code
    assert await kit.store.write(lambda tx: tx.codes.consume("code")) is None
    assert await kit.store.read(lambda tx: tx.codes.used("code")) == code
    kit.clock.advance(MINUTE)
    assert await kit.store.write(lambda tx: tx.codes.consume("late")) is None
    assert await kit.store.read(lambda tx: tx.codes.used("late")) == late
    assert await kit.store.write(lambda tx: tx.codes.consume("unknown")) is None


async def test_a_family_ends_with_every_token_of_it_and_no_other(kit: Kit) -> None:
    mine, other = kit.family(), kit.family("other")
    tokens = [kit.token("t1", family="family"), kit.token("t2", family="other"), kit.token("t3")]

    def work(tx: Any) -> None:
        for family in (mine, other):
            tx.families.save(family)
        for token in tokens:
            tx.tokens.save(token)

    await kit.store.write(work)
    assert await kit.store.read(lambda tx: tx.families.by_refresh("refresh-family")) == mine
    await kit.store.write(lambda tx: tx.families.revoke("family"))
    await kit.store.write(lambda tx: tx.tokens.revoke("t3"))
    ended = await kit.store.read(lambda tx: tx.families.by_refresh("refresh-family"))
    assert ended == replace(mine, revoked=True)
    found = [await kit.store.read(lambda tx, jti=one.jti: tx.tokens.find(jti)) for one in tokens]
    assert [one.revoked for one in found] == [True, False, True]
    assert await kit.store.read(lambda tx: tx.tokens.find("unknown")) is None


async def test_an_agencys_access_ends_once_and_nobody_elses(kit: Kit) -> None:
    def work(tx: Any) -> None:
        tx.families.save(kit.family())
        tx.families.save(kit.family("other", "b"))
        tx.tokens.save(kit.token("t1"))
        tx.tokens.save(kit.token("t2", agency="b"))

    await kit.store.write(work)
    assert await kit.store.write(lambda tx: tx.end_access("a")) == 2
    assert await kit.store.write(lambda tx: tx.end_access("a")) == 0
    assert not (await kit.store.read(lambda tx: tx.tokens.find("t2"))).revoked


async def test_an_agency_is_stored_once_suspended_and_restored(kit: Kit) -> None:
    state = AgencyState("a", "A", "police", "area", {"kid": "x"}, "jws", custodial=False)
    assert await kit.store.write(lambda tx: tx.agencies.add(state))
    assert not await kit.store.write(lambda tx: tx.agencies.add(replace(state, name="Other")))
    now = kit.clock.now()
    assert await kit.store.write(lambda tx: tx.agencies.set_suspended("a", now, "exercise"))
    assert not await kit.store.write(lambda tx: tx.agencies.set_suspended("a", now, "again"))
    assert await kit.store.read(lambda tx: tx.agencies.all()) == [
        replace(state, suspended_at=now, reason_code="exercise")
    ]
    assert await kit.store.write(lambda tx: tx.agencies.set_suspended("a", None, ""))
    assert not await kit.store.write(lambda tx: tx.agencies.set_suspended("unknown", now, ""))
    assert await kit.store.read(lambda tx: tx.agencies.find("a")) == state


async def test_the_epoch_counts_up(kit: Kit) -> None:
    assert await kit.store.read(lambda tx: tx.agencies.epoch()) == 0
    assert [await kit.store.write(lambda tx: tx.agencies.advance_epoch()) for _ in "ab"] == [1, 2]
    assert await kit.store.read(lambda tx: tx.agencies.epoch()) == 2


async def test_what_expired_is_purged_and_a_used_code_stays_for_a_shift(kit: Kit) -> None:
    def work(tx: Any) -> None:
        tx.seen.claim("dpop", "value", kit.clock.now() + MINUTE)
        tx.codes.save(kit.code())
        tx.tokens.save(kit.token("t1"))
        tx.families.save(kit.family())

    await kit.store.write(work)
    assert await kit.store.write(lambda tx: tx.purge(kit.clock.now())) == 0
    kit.clock.advance(6 * MINUTE)
    assert await kit.store.write(lambda tx: tx.purge(kit.clock.now())) == 2
    kit.clock.advance(SHIFT)
    assert await kit.store.write(lambda tx: tx.purge(kit.clock.now())) == 2


async def test_ended_tokens_are_named_a_little_past_their_end_and_the_newest_first(
    kit: Kit,
) -> None:
    def begin(tx: Any) -> None:
        for jti in ("kept", "first", "second"):
            tx.tokens.save(kit.token(jti))
        tx.tokens.revoke("first")

    await kit.store.write(begin)
    kit.clock.advance(1)
    await kit.store.write(lambda tx: tx.tokens.save(kit.token("third", family="f")))
    await kit.store.write(lambda tx: (tx.tokens.revoke("second"), tx.tokens.revoke("third")))
    found = await kit.store.read(lambda tx: tx.ended(kit.clock.now()))
    assert (found.tokens[0], set(found.tokens), found.until) == (
        "third",
        {"first", "second", "third"},
        0,
    )
    kit.clock.advance(309)  # services take a token ten seconds past its end
    await kit.store.write(lambda tx: tx.purge(kit.clock.now()))
    assert len((await kit.store.read(lambda tx: tx.ended(kit.clock.now()))).tokens) == 3
    kit.clock.advance(60)
    assert (await kit.store.read(lambda tx: tx.ended(kit.clock.now()))).tokens == ()


async def test_more_ended_tokens_than_can_be_named_end_everything_issued_until_then(
    kit: Kit,
) -> None:
    def begin(tx: Any) -> None:
        for number in range(ENDED_LISTED + 1):
            tx.tokens.save(kit.token(f"t{number}"))

    await kit.store.write(begin)
    issued = int(kit.clock.now().timestamp())
    await kit.store.write(lambda tx: tx.end_access("a"))
    found = await kit.store.read(lambda tx: tx.ended(kit.clock.now()))
    assert (len(found.tokens), found.until) == (ENDED_LISTED, issued)


async def test_a_service_has_one_key_set_the_last_that_was_put(kit: Kit) -> None:
    def work(tx: Any) -> None:
        tx.service_keys.put("svc:sharing", "first")
        tx.service_keys.put("svc:audit", "other")
        tx.service_keys.put("svc:sharing", "second")

    await kit.store.write(work)
    found = await kit.store.read(lambda tx: dict(tx.service_keys.all()))
    assert found == {"svc:sharing": "second", "svc:audit": "other"}


async def test_a_clients_tokens_end_without_its_colleagues(kit: Kit) -> None:
    def begin(tx: Any) -> None:
        tx.tokens.save(kit.token("mine"))
        tx.tokens.save(replace(kit.token("other"), client_id="another"))
        tx.agencies.add(AgencyState("a", "A", "t", "n", {"kty": "EC"}, "old", custodial=False))
        tx.agencies.set_key_set("a", "new")

    await kit.store.write(begin)
    assert await kit.store.write(lambda tx: tx.end_client("portal")) == 1
    assert await kit.store.write(lambda tx: tx.end_client("portal")) == 0
    found = await kit.store.read(lambda tx: (tx.tokens.find("other"), tx.agencies.find("a")))
    assert (found[0].revoked, found[1].key_set) == (False, "new")
