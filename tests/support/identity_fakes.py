"""Identity's ports in memory, held to the contract suite of the real adapters.

A write transaction that raises leaves nothing behind.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from common.directory import DirectoryState
from common.events import Event
from common.events.identity import DirectoryHeartbeat
from hubformats.audit_record import AuditEntry
from hubformats.bootstrap import Person
from hubformats.clock import Clock
from identity.agencies.model import AgencyState, Ended
from identity.directory.ports import TopicAccessUnavailable
from identity.oauth.model import (
    ACCESS_TOKEN_LIFE,
    ENDED_LISTED,
    SHIFT,
    SKEW,
    Authenticated,
    Code,
    Issued,
    Pushed,
    TokenFamily,
    seconds,
)

T = TypeVar("T")


@dataclass
class IdentityRows:
    """What the tables hold."""

    seen: dict[tuple[str, str], datetime] = field(default_factory=dict)
    requests: dict[str, Pushed] = field(default_factory=dict)
    completed: set[str] = field(default_factory=set)
    codes: dict[str, Code] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    families: dict[str, TokenFamily] = field(default_factory=dict)
    tokens: dict[str, Issued] = field(default_factory=dict)
    agencies: dict[str, AgencyState] = field(default_factory=dict)
    service_keys: dict[str, str] = field(default_factory=dict)
    epoch: int = 0
    published: list[Event] = field(default_factory=list)
    recorded: list[AuditEntry] = field(default_factory=list)


class MemorySeenOnce:
    """Fulfils `SeenOnce`."""

    def __init__(self, rows: IdentityRows) -> None:
        self._rows = rows

    def claim(self, purpose: str, value: str, expires_at: datetime) -> bool:
        """True the first time."""
        first = (purpose, value) not in self._rows.seen
        self._rows.seen.setdefault((purpose, value), expires_at)
        return first


class MemoryPushedRequests:
    """Fulfils `PushedRequests`."""

    def __init__(self, rows: IdentityRows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock

    def save(self, pushed: Pushed) -> None:
        """Keep it."""
        self._rows.requests[pushed.handle] = pushed

    def find(self, handle: str) -> Pushed | None:
        """Neither completed nor expired."""
        found = self._rows.requests.get(handle)
        if found is None or handle in self._rows.completed or found.expires_at <= self._clock.now():
            return None
        return found

    def complete(self, handle: str) -> bool:
        """True once."""
        found = self.find(handle)
        self._rows.completed.add(handle)
        return found is not None


class MemoryCodes:
    """Fulfils `Codes`."""

    def __init__(self, rows: IdentityRows, clock: Clock) -> None:
        self._rows = rows
        self._clock = clock

    def save(self, code: Code) -> None:
        """Keep it."""
        self._rows.codes[code.digest] = code

    def consume(self, digest: str) -> Code | None:
        """Once, and before it expires."""
        found = self._rows.codes.get(digest)
        if found is None or digest in self._rows.used:
            return None
        self._rows.used.add(digest)
        return found if found.expires_at > self._clock.now() else None

    def used(self, digest: str) -> Code | None:
        """One that was consumed."""
        return self._rows.codes.get(digest) if digest in self._rows.used else None


class MemoryTokenFamilies:
    """Fulfils `TokenFamilies`."""

    def __init__(self, rows: IdentityRows) -> None:
        self._rows = rows

    def save(self, family: TokenFamily) -> None:
        """Keep it."""
        self._rows.families[family.id] = family

    def by_refresh(self, refresh_digest: str) -> TokenFamily | None:
        """By its refresh token."""
        every = self._rows.families.values()
        return next((one for one in every if one.refresh_digest == refresh_digest), None)

    def revoke(self, family_id: str) -> None:
        """End it with its tokens."""
        if family_id in self._rows.families:
            ended = replace(self._rows.families[family_id], revoked=True)
            self._rows.families[family_id] = ended
        for jti, token in self._rows.tokens.items():
            if token.family_id == family_id:
                self._rows.tokens[jti] = replace(token, revoked=True)


class MemoryAccessTokens:
    """Fulfils `AccessTokens`."""

    def __init__(self, rows: IdentityRows) -> None:
        self._rows = rows

    def save(self, token: Issued) -> None:
        """Keep it."""
        self._rows.tokens[token.jti] = token

    def find(self, jti: str) -> Issued | None:
        """By its id."""
        return self._rows.tokens.get(jti)

    def revoke(self, jti: str) -> None:
        """End it."""
        if jti in self._rows.tokens:
            self._rows.tokens[jti] = replace(self._rows.tokens[jti], revoked=True)


class MemoryAgencies:
    """Fulfils `Agencies`."""

    def __init__(self, rows: IdentityRows) -> None:
        self._rows = rows

    def find(self, agency: str) -> AgencyState | None:
        """One."""
        return self._rows.agencies.get(agency)

    def all(self) -> list[AgencyState]:
        """By id."""
        return [self._rows.agencies[name] for name in sorted(self._rows.agencies)]

    def add(self, agency: AgencyState) -> bool:
        """Unless it is known."""
        new = agency.id not in self._rows.agencies
        self._rows.agencies.setdefault(agency.id, agency)
        return new

    def set_suspended(self, agency: str, at: datetime | None, reason_code: str) -> bool:
        """False when it already was so."""
        found = self._rows.agencies.get(agency)
        if found is None or (found.suspended_at is None) == (at is None):
            return False
        self._rows.agencies[agency] = replace(found, suspended_at=at, reason_code=reason_code)
        return True

    def set_key_set(self, agency: str, key_set: str) -> None:
        """Serve this set from now on."""
        self._rows.agencies[agency] = replace(self._rows.agencies[agency], key_set=key_set)

    def epoch(self) -> int:
        """Changes so far."""
        return self._rows.epoch

    def advance_epoch(self) -> int:
        """One more."""
        self._rows.epoch += 1
        return self._rows.epoch


class MemoryServiceKeySets:
    """Fulfils `ServiceKeySets`."""

    def __init__(self, rows: IdentityRows) -> None:
        self._rows = rows

    def all(self) -> dict[str, str]:
        """By owner."""
        return dict(self._rows.service_keys)

    def put(self, owner: str, key_set: str) -> None:
        """In place of an earlier one."""
        self._rows.service_keys[owner] = key_set


class MemoryTx:
    """Fulfils `OAuthTx` and `AgencyTx`."""

    def __init__(self, rows: IdentityRows, clock: Clock) -> None:
        self._rows = rows
        self.seen = MemorySeenOnce(rows)
        self.requests = MemoryPushedRequests(rows, clock)
        self.codes = MemoryCodes(rows, clock)
        self.families = MemoryTokenFamilies(rows)
        self.tokens = MemoryAccessTokens(rows)
        self.agencies = MemoryAgencies(rows)
        self.service_keys = MemoryServiceKeySets(rows)

    def end_access(self, agency: str) -> int:
        """End every living family and token of an agency."""
        families = [one for one in self._rows.families.values() if _lives(one, agency)]
        tokens = [one for one in self._rows.tokens.values() if _lives(one, agency)]
        self._rows.families |= {one.id: replace(one, revoked=True) for one in families}
        self._rows.tokens |= {one.jti: replace(one, revoked=True) for one in tokens}
        return len(families) + len(tokens)

    def end_client(self, client_id: str) -> int:
        """End every living token of a client."""
        every = self._rows.tokens.values()
        tokens = [one for one in every if one.client_id == client_id and not one.revoked]
        self._rows.tokens |= {one.jti: replace(one, revoked=True) for one in tokens}
        return len(tokens)

    def ended(self, now: datetime) -> Ended:
        """List those that were ended, as far as one heartbeat holds them."""
        every = [one for one in self._rows.tokens.values() if one.revoked]
        alive = [one for one in every if one.expires_at > now - SKEW]
        alive.sort(key=lambda one: one.expires_at, reverse=True)
        over = alive[ENDED_LISTED:]
        until = seconds(over[0].expires_at - ACCESS_TOKEN_LIFE) if over else 0
        return Ended(tuple(one.jti for one in alive[:ENDED_LISTED]), until)

    def purge(self, now: datetime) -> int:
        """Delete what nobody can present any more."""
        rows = self._rows
        before = _count(rows)
        rows.seen = {name: at for name, at in rows.seen.items() if at > now}
        rows.requests = {one.handle: one for one in rows.requests.values() if one.expires_at > now}
        rows.codes = {
            one.digest: one for one in rows.codes.values() if one.expires_at > now - SHIFT
        }
        rows.families = {one.id: one for one in rows.families.values() if one.expires_at > now}
        rows.tokens = {one.jti: one for one in rows.tokens.values() if one.expires_at > now - SKEW}
        return before - _count(rows)

    def publish(self, event: Event) -> None:
        """Keep the event."""
        self._rows.published.append(event)

    def record(self, entry: AuditEntry) -> None:
        """Keep the entry."""
        self._rows.recorded.append(entry)


class MemoryIdentity:
    """Fulfils `OAuthStore` and `AgencyStore`."""

    def __init__(self, clock: Clock) -> None:
        self.rows = IdentityRows()
        self.clock = clock

    async def write(self, work: Callable[[MemoryTx], T]) -> T:
        """Run `work` on a copy, and keep the copy unless it raises."""
        tried = copy.copy(self.rows)
        for name, value in vars(self.rows).items():
            if isinstance(value, dict | list | set):
                setattr(tried, name, copy.copy(value))
        done = work(MemoryTx(tried, self.clock))
        self.rows = tried
        return done

    async def read(self, work: Callable[[MemoryTx], T]) -> T:
        """Run `work`, which changes nothing."""
        return work(MemoryTx(self.rows, self.clock))

    async def forget_heartbeats(self, before: datetime) -> None:
        """Forget those before a moment."""
        self.rows.published = [
            event
            for event in self.rows.published
            if not isinstance(event, DirectoryHeartbeat) or event.at >= before
        ]


class KnownWords:
    """Fulfils `Authenticator`: people name themselves, by a word that each alone knows."""

    acr_values = frozenset({"a-word"})

    def __init__(self, words: Mapping[str, Person]) -> None:
        self._words = words

    def offered(self) -> tuple[Person, ...]:
        """Nobody is shown."""
        return ()

    def check(self, form: Mapping[str, str]) -> Authenticated | None:
        """By the word."""
        person = self._words.get(form.get("word", ""))
        return None if person is None else Authenticated(person, "a-word")


class MemoryHeartbeat:
    """Fulfils `Heartbeat`."""

    def __init__(self, hub: MemoryIdentity, directory: DirectoryState) -> None:
        self._hub = hub
        self._directory = directory

    async def beat(self) -> DirectoryHeartbeat:
        """Tell everybody and ourselves."""
        rows = self._hub.rows
        suspended = [one.id for one in rows.agencies.values() if one.suspended_at is not None]
        told = DirectoryHeartbeat(
            at=self._hub.clock.now(), state_epoch=rows.epoch, suspended=tuple(sorted(suspended))
        )
        rows.published.append(told)
        self._directory.apply(told)
        return told


class MemoryTopicAccess:
    """Fulfils `TopicAccess`; refuses to touch the topic of `stuck`, and all while `away`."""

    def __init__(self, *closed: str, stuck: str = "", away: bool = False) -> None:
        self.shut = set(closed)
        self.stuck = stuck
        self.away = away

    async def closed(self) -> frozenset[str]:
        """As they are."""
        self._reach()
        return frozenset(self.shut)

    async def close(self, agency: str) -> None:
        """Or not."""
        self._reach(agency)
        self.shut.add(agency)

    async def open(self, agency: str) -> None:
        """Take it away."""
        self._reach(agency)
        self.shut.discard(agency)

    def _reach(self, agency: str | None = None) -> None:
        if self.away or (agency is not None and agency == self.stuck):
            raise TopicAccessUnavailable("no-answer")


def _lives(thing: TokenFamily | Issued, agency: str) -> bool:
    return thing.agency == agency and not thing.revoked


def _count(rows: IdentityRows) -> int:
    kept = (rows.seen, rows.requests, rows.codes, rows.families, rows.tokens)
    return sum(len(each) for each in kept)
