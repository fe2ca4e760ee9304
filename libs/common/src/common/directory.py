"""This process's copy of who may act and with which keys; a copy that may be out of date denies."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import httpx2

from common.events import Event
from common.events.identity import (
    AgencyRestored,
    AgencySuspended,
    DirectoryHeartbeat,
    DirectoryHeartbeatV2,
    KeyPublished,
    KeyRetired,
)
from common.problems import Problem
from common.telemetry import describe
from hubformats.bootstrap import OPERATOR, Bootstrap
from hubformats.canonical import CanonicalError
from hubformats.clock import Clock
from hubformats.key_book import KeyBook, served_sets
from hubformats.keys import RecipientKey, VerificationKey

MAX_AGE: Final = timedelta(seconds=60)
"""Design section 6: suspension, bar and key state older than this denies."""

IDENTITY: Final = "svc:identity"
_COOL_DOWN_SECONDS: Final = 10.0
_TIMEOUT_SECONDS: Final = 5.0
_log = logging.getLogger("hub.directory")


class DirectoryUnreachable(Exception):
    """Identity could not be asked about keys; ask again in `retry_after` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("directory-unreachable")
        self.retry_after = retry_after


class DirectoryState:
    """Which agencies are suspended, as of the last heartbeat and what was announced since.

    Lives in memory: a restarted process denies until the first heartbeat, which holds the whole
    state. Announcements of different agencies may overtake each other, so each agency's is judged
    by its own epoch.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heard_at: datetime | None = None
        self._epoch = -1
        self._suspended: frozenset[str] = frozenset()
        self._ended: frozenset[str] = frozenset()
        self._ended_until = 0
        self._since: dict[
            str, tuple[int, bool]
        ] = {}  # agency -> (epoch, suspended), newer than the heartbeat's

    def apply(self, event: Event) -> None:
        """Take in an event of identity whose envelope was verified.

        Others are ignored; older ones change nothing.
        """
        if isinstance(event, DirectoryHeartbeat):
            self._beat(event)
        elif isinstance(event, AgencySuspended):
            self._announce(event.agency, event.state_epoch, suspended=True)
        elif isinstance(event, AgencyRestored):
            self._announce(event.agency, event.state_epoch, suspended=False)

    def fresh(self) -> bool:
        """Tell whether the last heartbeat is at most MAX_AGE old."""
        return self._heard_at is not None and self._clock.now() - self._heard_at <= MAX_AGE

    def suspended(self, agency: str) -> bool:
        """Tell whether the agency is suspended by the newest word we have."""
        since = self._since.get(agency)
        return since[1] if since is not None else agency in self._suspended

    def epoch(self, agency: str) -> int:
        """Return the number of the agency's last known change; cached decisions carry it."""
        since = self._since.get(agency)
        return since[0] if since is not None else self._epoch

    def ended(self, agency: str, jti: str, issued: int) -> bool:
        """Tell whether identity ended this access token; `issued` in Unix seconds.

        False for a suspended agency: see `demand`.
        """
        over = jti in self._ended or issued <= self._ended_until
        return over and not self.suspended(agency)

    def demand(self, agency: str) -> None:
        """Raise Problem `directory-stale` or `agency-suspended` unless the agency may act.

        Suspension is told even when stale.
        """
        if self.suspended(agency):
            raise Problem("agency-suspended")
        if not self.fresh():
            raise Problem("directory-stale", headers={"Retry-After": "15"})

    def _beat(self, event: DirectoryHeartbeat) -> None:
        if event.state_epoch < self._epoch or (
            self._heard_at is not None and event.at < self._heard_at
        ):
            return
        # A sender's clock ahead of ours must not buy its state a longer life here.
        self._heard_at = min(event.at, self._clock.now())
        self._epoch = event.state_epoch
        self._suspended = frozenset(event.suspended)
        if isinstance(event, DirectoryHeartbeatV2):
            self._ended, self._ended_until = frozenset(event.ended_tokens), event.ended_until
        self._since = {
            agency: state for agency, state in self._since.items() if state[0] > event.state_epoch
        }

    def _announce(self, agency: str, epoch: int, *, suspended: bool) -> None:
        if epoch > max(self._epoch, self._since.get(agency, (-1, False))[0]):
            self._since[agency] = (epoch, suspended)


class DirectoryKeys:
    """The hub's public keys, kept up by the signed sets that identity serves.

    `kept` names the file in which the sets outlive this process. So after a restart nothing is
    sealed to a key that was destroyed meanwhile.
    """

    def __init__(
        self,
        bootstrap: Bootstrap,
        identity_url: str,
        http: httpx2.AsyncClient,
        clock: Clock,
        kept: Path | None = None,
    ) -> None:
        """`http` is used for `GET identity_url/v1/directory/keys` only."""
        self.book = KeyBook(bootstrap)
        self._url = f"{identity_url}/v1/directory/keys"
        self._http = http
        self._clock = clock
        self._kept = kept
        self._asked_at = float("-inf")  # when the last question ended, and whether it was answered
        self._answered_it = True
        self._answered_once = False
        self._asking: asyncio.Task[bool] | None = None
        self._watchers: list[Callable[[], None]] = []
        # A file that a power cut spoilt counts as none: the sets vouch for themselves.
        with suppress(OSError, CanonicalError):
            if kept is not None:
                self.book.take(served_sets(kept.read_bytes()))

    def verification(self, kid: str) -> VerificationKey | None:
        """Return the verification key of that id, whatever its status, or None.

        None too for an agency's before identity answered once: it may have been compromised while
        this process was stopped.
        """
        key = self.book.verification(kid)
        ours = key is not None and key.owner.partition(":")[0] in {"svc", OPERATOR}
        return key if ours or self._answered_once else None

    def recipient(self, owner: str) -> RecipientKey | None:
        """Return the key to seal to that owner with now, or None."""
        return self.book.recipient(owner, self._clock.now())

    def watch(self, call: Callable[[], None]) -> None:
        """Call this, on the loop, whenever identity announces that somebody's key came or went."""
        self._watchers.append(call)

    def take(self, sets: Mapping[str, str]) -> None:
        """Take in signed key sets, by owner, and keep them for the next start."""
        before = dict(self.book.texts())
        for owner, code in self.book.take(sets).items():
            _log.error("key set refused", extra={"code": code, "agency": owner})
        if self._kept is not None and self.book.texts() != before:
            beside = self._kept.with_suffix(".new")
            beside.write_bytes(self.book.answer())
            beside.replace(self._kept)

    async def refresh(self) -> None:
        """Ask identity once for all who wait, at the earliest ten seconds after its answer.

        Raises DirectoryUnreachable when it did not answer, and until it is asked again; what we
        have stays.
        """
        if self._asking is None:
            left = self._asked_at + _COOL_DOWN_SECONDS - self._clock.monotonic()
            if left > 0:
                if self._answered_it:
                    return
                raise DirectoryUnreachable(left)
            self._asked_at = self._clock.monotonic()
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._answered)
        if not await asyncio.shield(self._asking):
            raise DirectoryUnreachable(_COOL_DOWN_SECONDS)

    def apply(self, event: Event) -> None:
        """Take in identity's event: a published key makes the next `refresh` ask."""
        if isinstance(event, KeyPublished):
            self._asked_at = float("-inf")
        if isinstance(event, KeyRetired):
            self.book.mark(event.kid, event.at if event.compromised else None)
            # The key that takes its place is in the set that identity gives now, whichever of the
            # two events came first.
            self._asked_at = float("-inf")
        if isinstance(event, KeyPublished | KeyRetired):
            for call in self._watchers:
                call()

    def _answered(self, task: asyncio.Task[bool]) -> None:
        self._asking = None
        self._answered_it = not task.cancelled() and task.exception() is None and task.result()
        # A key that was published while we asked may not be in the answer: the next who needs it
        # asks at once.
        if self._asked_at > float("-inf"):
            self._asked_at = self._clock.monotonic()

    async def _ask(self) -> bool:
        """Ask identity for the keys; tell whether it answered."""
        try:
            answer = await self._http.get(
                self._url, timeout=_TIMEOUT_SECONDS, follow_redirects=False
            )
            answer.raise_for_status()
            offered = served_sets(answer.content)
        except (httpx2.HTTPError, CanonicalError, ValueError) as error:
            _log.warning("directory not reached", extra={"error": describe(error)})
            return False
        self.take(offered)
        self._answered_once = True
        return True


class _Unit(Protocol):
    def after_commit(self, call: Any) -> None: ...


class _Opened(Protocol):
    @property
    def source(self) -> str: ...


def follow(inbox: Any, state: DirectoryState, keys: DirectoryKeys | None = None) -> None:
    """Register both copies for identity's events on an Inbox that consumes `hub.identity.v1`.

    Applied after the commit, on the event loop. If we crash in between, the copy in memory is gone
    anyway and the next heartbeat rebuilds it.
    """

    def handle(unit: _Unit, opened: _Opened, event: Event) -> None:
        if opened.source == IDENTITY:
            unit.after_commit(lambda: _apply(event, state, keys))

    beats = DirectoryHeartbeat, DirectoryHeartbeatV2
    for kind in (AgencySuspended, AgencyRestored, *beats, KeyPublished, KeyRetired):
        inbox.on(kind, handle)


def _apply(event: Event, state: DirectoryState, keys: DirectoryKeys | None) -> None:
    state.apply(event)
    if keys is not None:
        keys.apply(event)
