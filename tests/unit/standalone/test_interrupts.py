"""A second Ctrl-C does not break the services off while they stop."""

import signal

import uvicorn

from standalone.__main__ import _Server


async def _nothing(*_: object) -> None:
    return


def test_a_second_interrupt_changes_nothing() -> None:
    server = _Server(uvicorn.Config(_nothing), lambda: None)
    for _ in range(3):
        server.handle_exit(signal.SIGINT, None)
        assert (server.should_exit, server.force_exit) == (True, False)
