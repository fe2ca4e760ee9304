"""A service as its runner sees it: an app and parts that start, stop and pause in order."""

import gc
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, runtime_checkable

from common.web.app import HubApp
from common.web.frame import Frame


def settle_memory() -> None:
    """Leave what stands after the start out of the garbage collector's rounds.

    Call it once per process, when everything has started. A full round looks through every object
    while all threads wait. It takes about 0.1 s in a standalone hub, in the middle of requests.
    """
    gc.collect()
    gc.freeze()


@runtime_checkable
class Part(Protocol):
    """Something that runs beside the API: database, outbox relay, consumers.

    Obligation: `stop` may follow a failed `start`.
    """

    async def start(self) -> None:
        """Begin; returns when ready to work."""
        ...

    async def stop(self) -> None:
        """End cleanly; nothing of it runs afterwards."""
        ...


class Pausable(Protocol):
    """A part that can hold its work while the process lives, such as a consumption or a relay."""

    def pause(self) -> Awaitable[None] | None:
        """Take no new work."""
        ...

    def resume(self) -> Awaitable[None] | None:
        """Go on from where it held."""
        ...


class Service:
    """One service of the hub. Parts start in the given order and stop in the reverse one."""

    def __init__(
        self,
        name: str,
        app: HubApp,
        *,
        parts: Sequence[Part] = (),
        pausable: Sequence[Pausable] = (),
    ) -> None:
        """`app` gets its operator endpoints connected to this service."""
        self.name = name
        self.app = app
        self._parts = (*parts, app.background)
        self._started: list[Part] = []
        self._pausable = list(pausable)
        app.turn = {"pause": self.pause, "resume": self.resume}
        app.frame = next((part for part in parts if isinstance(part, Frame)), None)

    @property
    def paused(self) -> bool:
        """Whether the operator has paused the service.

        Kept in memory only: a restart resumes, which loses nothing.
        """
        return self.app.paused

    def add_pausable(self, part: Pausable) -> None:
        """Add one that only exists after start, such as a `Consumption`."""
        self._pausable.append(part)

    async def start(self) -> None:
        """Start every part; if one fails, stop those begun and raise its error."""
        try:
            for part in self._parts:
                self._started.append(part)
                await part.start()
        except BaseException:
            await self.stop()
            raise
        self.app.ready = True

    async def stop(self) -> None:
        """Stop in reverse order, every part even if another fails; raise the first failure."""
        self.app.ready = False
        failure: Exception | None = None
        while self._started:
            part = self._started.pop()
            try:
                await part.stop()
            # The others must be stopped too; it is raised below
            except Exception as error:  # noqa: BLE001
                failure = failure or error
        if failure is not None:
            raise failure

    async def pause(self) -> None:
        """Hold consumers and relays; the API answers 503 except health and operator's routes."""
        self.app.paused = True
        for part in self._pausable:
            await _settle(part.pause)

    async def resume(self) -> None:
        """Undo `pause`."""
        for part in self._pausable:
            await _settle(part.resume)
        self.app.paused = False


async def _settle(call: Callable[[], Awaitable[None] | None]) -> None:
    outcome = call()
    if inspect.isawaitable(outcome):
        await outcome
