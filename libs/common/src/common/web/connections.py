"""Limits on connections, so that nobody stops a hub by opening many and saying little.

uvicorn closes idle connections that have had an answer; the time-outs before it and the limits are
ours. Sockets never take the file descriptors that databases and the log need.
"""

import asyncio
import logging
import resource
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, Literal, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_log = logging.getLogger("hub.web")

RESERVE: Final = 384
"""File descriptors kept for databases, the log, the bus and calls between services."""

State = Literal["waiting", "idle", "busy"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there may be, and how long a peer may take."""

    total: int = 2000
    per_peer: int = 500
    """Behind a proxy every connection comes from its one address: then as many as in all."""
    head_seconds: float = 10.0
    """From the first moment, or the first byte of a later request, until the head is complete."""
    body_seconds: float = 60.0
    """From the complete head until the body is complete."""
    stalled_seconds: float = 30.0
    """How long an answer may wait for a peer that does not read."""

    def within_descriptors(self) -> "Limits":
        """Return the same limits, with no more connections than this process has descriptors for.

        The reserve is left out; where that leaves less than half, half is left out.
        """
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return self
        most = min(self.total, max(soft - RESERVE, soft // 2))
        return replace(self, total=most, per_peer=min(self.per_peer, most))


@dataclass(slots=True)
class Connections:
    """The open connections of one server, each in its state, the longest in that state first."""

    limits: Limits
    _peers: Counter[str] = field(default_factory=Counter)
    _open: dict["LimitedProtocol", State] = field(default_factory=dict)
    _said: float = 0.0

    def admit(self, new: "LimitedProtocol") -> bool:
        """Take a connection; False when there is no room and it must be closed at once.

        The room of a peer that has said nothing yet, or nothing more, goes to the new one. So
        whoever sends a request is let in, however many idle connections are held open.
        """
        full = self._peers[new.peer] >= self.limits.per_peer
        if full and not self._make_room(new.peer):
            return self._refuse()
        if len(self._open) >= self.limits.total and not self._make_room(None):
            return self._refuse()
        self._peers[new.peer] += 1
        self._open[new] = "waiting"
        return True

    def enter(self, one: "LimitedProtocol", state: State) -> None:
        """Note that a connection is now in this state."""
        if self._open.pop(one, None) is not None:
            self._open[one] = state

    def forget(self, one: "LimitedProtocol") -> None:
        """Note that a connection is closed. May be repeated."""
        if self._open.pop(one, None) is not None:
            self._peers[one.peer] -= 1
            if not self._peers[one.peer]:
                del self._peers[one.peer]

    def _make_room(self, peer: str | None) -> bool:
        for state in ("waiting", "idle"):
            for one, its in self._open.items():
                if its == state and peer in (None, one.peer):
                    one.give_way()
                    return True
        return False

    def _refuse(self) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._said > 10:  # said, but not once for each of a flood
            self._said = now
            _log.warning("connections refused: every one we may hold is at work")
        return False


class LimitedProtocol(HttpToolsProtocol):
    """HTTP/1.1 by uvicorn, within the limits of its `connections`."""

    connections_of_server: ClassVar[Connections]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.peer = ""
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head, or close at once."""
        address = transport.get_extra_info("peername")
        self.peer = str(address[0]) if address else ""
        super().connection_made(transport)
        if self.connections_of_server.admit(self):
            self._expect(self.connections_of_server.limits.head_seconds)
        else:
            self._refused = True
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._expect(None)
        self._writes_wait(seconds=None)
        self.connections_of_server.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; the first byte of a later request starts the clock of its head."""
        if self._refused:
            return
        if self._deadline is None and self._at_rest():
            self._await_head()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Give the body a time of its own: somebody asks something."""
        self.connections_of_server.enter(self, "busy")
        self._expect(self.connections_of_server.limits.body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Lift the deadline: the request is whole, and how long the answer takes is ours to say."""
        self._expect(None)
        super().on_message_complete()
        if self._at_rest():  # it was answered before it was whole, and uvicorn waits no more
            self._await_head()

    def on_response_complete(self) -> None:
        """Rest until the next request; uvicorn closes the connection when none comes."""
        super().on_response_complete()
        if self.transport.is_closing():  # it closes when the peer has read what is left
            self._writes_wait(self.connections_of_server.limits.stalled_seconds)
        elif self._at_rest() and self._deadline is None:
            self.connections_of_server.enter(self, "idle")

    def timeout_keep_alive_handler(self) -> None:
        """Close; at once when the last answer was never read."""
        if self.transport.get_write_buffer_size():
            self.give_way()
        else:
            super().timeout_keep_alive_handler()

    def pause_writing(self) -> None:
        """Give a peer that does not read its answer a while."""
        super().pause_writing()
        self._writes_wait(self.connections_of_server.limits.stalled_seconds)

    def resume_writing(self) -> None:
        """Note that the peer reads again."""
        super().resume_writing()
        self._writes_wait(seconds=None)

    def give_way(self) -> None:
        """Close at once, for another."""
        self._refused = True
        self.connections_of_server.forget(self)
        self.transport.abort()

    def _at_rest(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)  # None before the first request
        return (cycle is None or cycle.response_complete) and not self.pipeline

    def _await_head(self) -> None:
        self.connections_of_server.enter(self, "waiting")
        self._expect(self.connections_of_server.limits.head_seconds)

    def _expect(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.give_way)

    def _writes_wait(self, seconds: float | None) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
        self._stalled = None if seconds is None else self.loop.call_later(seconds, self.give_way)


def limited(limits: Limits | None = None) -> type[LimitedProtocol]:
    """Make the protocol class of one server, for `uvicorn.Config(http=…)`."""
    within = (limits or Limits()).within_descriptors()

    class OfServer(LimitedProtocol):
        connections_of_server = Connections(within)

    return OfServer
