"""Renews a service's own opening keys and destroys old ones, as the dated periods say."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from common.audit_trail import AuditTrail
from common.database import Database, Unit
from common.directory import DirectoryKeys
from common.faults import crash_point
from common.inbox import Inbox
from common.keyring import Keyring
from common.web.client import ServiceClient
from hubformats.audit_record import Actor, AuditEntry
from hubformats.bootstrap import SERVICE_KEY, sign_key_set
from hubformats.clock import Clock
from hubformats.key_schedule import Steps, periods_on, steps
from hubformats.keys import generate_opening

_log = logging.getLogger("hub.keys")


@dataclass(slots=True)
class KeyRotation:
    """Looks after the opening keys of one service. Of several replicas one does it at a time."""

    service: str
    issuer: str
    created: datetime
    """When the hub's first keys were made."""
    clock: Clock
    database: Database
    keyring: Keyring
    keys: DirectoryKeys
    inbox: Inbox
    trail: AuditTrail
    identity: ServiceClient
    fresh: Callable[[], bool]
    """Whether news comes by the bus."""
    _steady_since: datetime | None = None

    async def step(self) -> None:
        """Do what is due: make, publish, destroy.

        Nothing is done without news, nor unless the directory answers: only a key that senders know
        retires another.

        Raises DirectoryUnreachable, ProblemAnswer, CallFailed, TokenRefused; the next step tries
        again.
        """
        now = self.clock.now()
        if not self.fresh():
            self._steady_since = None
            return
        self._steady_since = self._steady_since or now
        await self.keys.refresh()
        lock = self.database.lock("opening-keys")
        if not await lock.acquire():
            return
        try:
            await self._destroy(now)
            await self._renew(now)
        finally:
            await lock.release()

    async def _renew(self, now: datetime) -> None:
        """Make the next key and publish what is held.

        If we crash after the key is made, the next step finds and publishes it. If after it is
        published, the directory's answer says so.
        """
        held, due = self.keyring.opening_keys(SERVICE_KEY), self._due(now)
        for kid, begins in due.postpone.items():
            self.keyring.put_opening_key(SERVICE_KEY, replace(held[kid], begins=begins))
        if due.make is not None:
            key = replace(generate_opening(self._owner), begins=due.make)
            self.keyring.put_opening_key(SERVICE_KEY, key)
            crash_point("keys.made")
        kept = self.keyring.opening_keys(SERVICE_KEY).values()
        if {key.kid: key.begins for key in kept} == self.keys.book.opening(self._owner):
            return
        issued = max(int(now.timestamp()), self.keys.book.issued(self._owner) + 1)
        jwks = tuple(key.public().jwk() for key in sorted(kept, key=lambda key: key.begins))
        signer = self.keyring.signing_key(SERVICE_KEY)
        compact = sign_key_set(self._owner, jwks, signer, issued)
        path = f"/v1/directory/services/{self.service}"
        await self.identity.call("PUT", path, scope="directory.read", json={"keySet": compact})
        crash_point("keys.published")
        self.keys.take({self._owner: compact})

    @property
    def _owner(self) -> str:
        return f"svc:{self.service}"

    def _due(self, now: datetime) -> Steps:
        held = self.keyring.opening_keys(SERVICE_KEY)
        published = self.keys.book.opening(self._owner)
        return steps(held, published, created=self.created, now=now, periods=periods_on(now.date()))

    async def _destroy(self, now: datetime) -> None:
        """Destroy what is over, each with its entry in the log.

        If we crash before the entry, nothing happened. If after it, the next step destroys the key
        and the inbox knows the entry.
        """
        periods = periods_on(now.date())
        due = self._due(now).destroy
        if due and (still := self.keys.book.silent(now - periods.kept) - {self._owner}):
            # What waits in their outboxes may need the key: once they are back it is read first.
            said = {"alarm": "key-kept-for-standstill", "reason": ",".join(sorted(still))}
            _log.error("an old key is kept: services stand still", extra=said)
            self._steady_since = now
            return
        if self._steady_since is None or now - self._steady_since < periods.steady:
            return
        for kid in due:
            if not await self._freed(kid):
                _log.error("an old key is kept", extra={"alarm": "key-kept-for-quarantine"})
                continue
            await self.database.write(partial(self._record, kid))
            crash_point("keys.recorded")
            self.keyring.destroy_opening_key(SERVICE_KEY, kid)
            crash_point("keys.destroyed")

    async def _freed(self, kid: str) -> bool:
        """Seal what waits in quarantine to the newest key; tell whether nothing needs this one."""
        newest = self.keys.recipient(self._owner)
        if newest is None or newest.kid == kid:
            return False
        return not await self.database.write(partial(self.inbox.reseal, kid=kid, key=newest))

    def _record(self, kid: str, unit: Unit) -> None:
        name = UUID(bytes=hashlib.sha256(kid.encode()).digest()[:16])
        if not self.inbox.first(unit, f"{self.service}.keys", self._owner, name):
            return
        subject = f"{self.issuer}|svc-{self.service}"
        self.trail.record(
            unit,
            AuditEntry(
                operation="key_destroy",
                outcome="done",
                actor=Actor(subject=subject, agency=self._owner, role="system"),
                resource_type="opening-key",
                resource_id=kid,
                reason_code="retired",
            ),
        )
