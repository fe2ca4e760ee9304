"""Takes proven disclosures from the database, asks for vetoes, and lets them leave, once each."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Final
from uuid import UUID

from opentelemetry import metrics

from common.database import DatabaseStopped, DatabaseUnavailable
from common.faults import crash_point
from common.sealed import RowAltered
from common.telemetry import describe
from sharing.context import ContentGone, Store
from sharing.directory.ports import KeysUnreachable
from sharing.disclosures.model.disclosure import Hold
from sharing.disclosures.ports import (
    CaseState,
    DisclosureViews,
    Due,
    ReleaseChecks,
    ReleaseTx,
    ReleaseView,
    Stuck,
)
from sharing.disclosures.use_cases import promises, releasing
from sharing.disclosures.use_cases.answers import mark_unanswered
from sharing.disclosures.use_cases.promises import promise_due
from sharing.disclosures.use_cases.steps import ReleaseContext

_log = logging.getLogger("hub.sharing")
_BATCH: Final = 64
_LOOK_AGAIN: Final = 5.0
_MAINTAIN_EVERY: Final = timedelta(seconds=30)
_AFTER_FAILURE: Final = 1.0

_meter = metrics.get_meter("hub.sharing")
_outcomes = _meter.create_counter(
    "hub_disclosure_releases", description="Release attempts by outcome"
)
_waiting = _meter.create_gauge(
    "hub_disclosures_waiting", description="Disclosures that have not left, by state and reason"
)
_overdue = _meter.create_gauge(
    "hub_disclosure_promises_overdue",
    description="Emergency releases without their proof after the promised hour",
)
_unanswered = _meter.create_gauge(
    "hub_disclosure_answers_overdue",
    description="Corrections and withdrawals whose answer did not come in time",
)

_Seal = Callable[[ReleaseTx, ReleaseContext, UUID, CaseState | None], bool]
_Find = Callable[[DisclosureViews, UUID | None], tuple[UUID, ...]]
_Tell = Callable[..., bool]
"""Takes a transaction, `context` and `delivery_id`."""
Round = Callable[[], Awaitable[int]]
"""One step of somebody else's work in the worker's rounds; how much it did."""


class Releases:
    """One task per process.

    What is due stands in the database, so a crash loses nothing; the state there decides who
    releases.

    Two processes may try the same disclosure: the second finds it released and does nothing.
    """

    def __init__(
        self,
        store: Store[ReleaseTx, ReleaseView],
        context: ReleaseContext,
        checks: ReleaseChecks,
        rounds: Sequence[Round] = (),
    ) -> None:
        """`rounds` are run after each step, so that nothing due for release waits long."""
        self._store = store
        self._context = context
        self._checks = checks
        self._rounds = tuple(rounds)
        # What was announced while this process was down, nobody tells it again.
        self._keys_moved = True
        self._wake = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()
        self._task: asyncio.Task[None] | None = None
        self._next_due: datetime | None = None
        self._maintained = context.now() - _MAINTAIN_EVERY
        self._shown: set[tuple[str, str]] = set()

    def wake(self) -> None:
        """Note that a receipt was committed. Call on the loop."""
        self._wake.set()

    def keys_moved(self) -> None:
        """Look at once whose deliveries must be sealed again: somebody's key came or went.

        Call on the loop.
        """
        self._keys_moved = True
        self._maintained = self._context.now() - _MAINTAIN_EVERY
        self._wake.set()

    async def start(self) -> None:
        """Begin; what an earlier process left unfinished goes first."""
        self._task = asyncio.create_task(self._run(), name="sharing-releases")

    async def stop(self) -> None:
        """End after the transaction under way."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def pause(self) -> None:
        """Release nothing more until `resume`; a step under way ends first."""
        self._running.clear()

    def resume(self) -> None:
        """Release again."""
        self._running.set()
        self._wake.set()

    async def step(self) -> int:
        """Try everything that is due once; how many were tried."""
        now = self._context.now()
        due, self._next_due = await self._store.read(
            lambda view: (view.disclosures.due(now, _BATCH), view.disclosures.next_due())
        )
        cases = [tuple(group) for _, group in groupby(sorted(due, key=_by_case), key=_by_case)]
        await asyncio.gather(*(self._case(case) for case in cases))
        return len(due)

    async def run_rounds(self) -> int:
        """Run each round once; how much they did."""
        return sum([await step() for step in self._rounds])

    async def maintain(self) -> None:
        """Keep promises whose proof came, seal again for new keys, and alarm what is overdue."""
        self._maintained = self._context.now()
        await self._look_for_keys()
        directory = self._context.directory
        current = {
            agency.id: kid
            for agency in directory.agencies()
            if (kid := directory.sealing_key(agency.id)) is not None
        }
        now = self._context.now()
        await self._again(
            lambda view, after: view.promised_with_proof(after, _BATCH), promises.keep_promise
        )
        await self._again(
            lambda view, after: view.sealed_to_old_keys(current, after, _BATCH),
            promises.seal_again,
        )
        await self._tell(lambda view, after: view.promises_due(now, after, _BATCH), promise_due)
        await self._tell(lambda view, after: view.unanswered(now, after, _BATCH), mark_unanswered)
        overdue, late, stuck = await self._store.read(
            lambda view: (
                view.disclosures.overdue_promises(now),
                view.disclosures.overdue_answers(now),
                view.disclosures.stuck(),
            )
        )
        self._show(stuck)
        _unanswered.set(late)
        _overdue.set(overdue)
        if overdue:
            _log.error(
                "promised proofs are overdue", extra={"alarm": Hold.OVERDUE.value, "count": overdue}
            )

    async def _look_for_keys(self) -> None:
        """Fetch the key sets: an event names a key and proves nothing; the owner's signed set does.

        One that cannot be had is asked for at the next round.
        """
        if not self._keys_moved:
            return
        self._keys_moved = False  # before asking: what is announced meanwhile is for the next round
        try:
            await self._context.directory.refresh()
        except KeysUnreachable:
            self._keys_moved = True
            _log.warning("keys of the directory not had")

    async def _again(
        self, find: Callable[[DisclosureViews, UUID | None], tuple[Due, ...]], seal: _Seal
    ) -> None:
        """Seal for everything found, page by page.

        What may not be sealed now stays, and must not hide what stands behind it.
        """
        after: UUID | None = None

        def look(view: ReleaseView) -> tuple[Due, ...]:
            return find(view.disclosures, after)

        while page := await self._store.read(look):
            for due in page:
                await self._seal_again(due, seal)
            after = page[-1].delivery_id

    async def _tell(self, find: _Find, tell: _Tell) -> None:
        """Tell of each promise or answer that did not come in time, in a transaction of its own.

        One already told of changes nothing.
        """
        after: UUID | None = None
        while page := await self._store.read(partial(_found, find=find, after=after)):
            for delivery in page:
                with suppress(RowAltered):  # alarmed where it was met
                    await self._store.write(
                        partial(tell, context=self._context, delivery_id=delivery)
                    )
            after = page[-1]

    async def _seal_again(self, due: Due, seal: _Seal) -> None:
        """Ask once and seal in one transaction for one delivery.

        One that cannot be sealed must not keep the others.
        """
        state = await self._checks.check(due.case_id, due.version, due.subjects)
        try:
            await self._store.write(lambda tx: seal(tx, self._context, due.delivery_id, state))
        except (DatabaseUnavailable, DatabaseStopped):
            raise
        except ContentGone:
            _log.info("an erased case is not sealed again")
        except Exception as error:  # noqa: BLE001 - it is tried again at the next round, loudly
            _log.error(
                "sealing again failed", extra={"alarm": "reseal-failed", "error": describe(error)}
            )

    def _show(self, stuck: Sequence[Stuck]) -> None:
        """Show what waits or is blocked, by reason; a reason that has gone is set to nothing."""
        counts = {
            (each.state.value, each.reason.value if each.reason else "none"): each.count
            for each in stuck
        }
        for state, reason in self._shown | counts.keys():
            _waiting.set(counts.get((state, reason), 0), {"state": state, "reason": reason})
        self._shown = set(counts)

    async def _case(self, due: Sequence[Due]) -> None:
        """Release what is due of a case and version: one question to referral, one transaction."""
        first = due[0]
        state = await self._checks.check(first.case_id, first.version, first.subjects)
        crash_point("sharing.release-checked")
        try:
            await self._release([each.delivery_id for each in due], state)
        except (DatabaseUnavailable, DatabaseStopped):
            raise
        # One disclosure that cannot be sealed must not keep the others
        except Exception as error:  # noqa: BLE001
            _log.error(
                "release failed", extra={"alarm": Hold.FAILED.value, "error": describe(error)}
            )
            for each in due:
                await self._alone(each.delivery_id, state)

    async def _alone(self, delivery: UUID, state: CaseState | None) -> None:
        try:
            await self._release([delivery], state)
        except (DatabaseUnavailable, DatabaseStopped):
            raise
        except RowAltered:  # alarmed where it was met; it must not come round again and again
            await self._store.write(lambda tx: tx.disclosures.set_aside(delivery))
        except Exception:  # noqa: BLE001 - told once above; it waits and is shown to the desk
            await self._store.write(
                partial(releasing.failed, context=self._context, delivery_id=delivery)
            )

    async def _release(self, deliveries: Sequence[UUID], state: CaseState | None) -> None:
        def work(tx: ReleaseTx) -> list[str]:
            return [releasing.release(tx, self._context, one, state) for one in deliveries]

        for outcome in await self._store.write(work):
            _outcomes.add(1, {"outcome": outcome})

    async def _run(self) -> None:
        while True:
            try:
                await self._running.wait()
                self._wake.clear()  # before reading: a commit from here on wakes us again
                tried = await self.step()
                if self._context.now() - self._maintained >= _MAINTAIN_EVERY:
                    await self.maintain()
                done = await self.run_rounds()
                if not tried and not done:
                    await self._rest()
            except DatabaseStopped:
                return
            except DatabaseUnavailable as error:
                _log.warning("release worker waits", extra={"error": describe(error)})
                await asyncio.sleep(_AFTER_FAILURE)
            # Nothing may end this task while disclosures wait; loud and slow instead
            except Exception as error:  # noqa: BLE001
                _log.error(
                    "release worker failed",
                    extra={"alarm": "release-worker", "error": describe(error)},
                )
                await asyncio.sleep(_AFTER_FAILURE)

    async def _rest(self) -> None:
        due = self._next_due  # as of a step that found nothing to do
        limit = (
            _LOOK_AGAIN
            if due is None
            else min(_LOOK_AGAIN, max(0.01, (due - self._context.now()).total_seconds()))
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._wake.wait()


def _found(view: ReleaseView, find: _Find, after: UUID | None) -> tuple[UUID, ...]:
    return find(view.disclosures, after)


def _by_case(due: Due) -> tuple[UUID, int]:
    return (due.case_id, due.version)
