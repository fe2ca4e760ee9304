"""The limits of one server: who must go when there is no room, and what takes too long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn

from common.web.connections import RESERVE, Limits, limited

LIMITS = Limits(total=6, per_peer=4, head_seconds=0.5, body_seconds=0.5, stalled_seconds=0.5)
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answers at once; `/slow` after the body or for ever, `/long` with more than a socket holds."""
    if scope["path"] == "/slow":
        while (await receive()).get("more_body"):
            pass
        await asyncio.sleep(0.2)
    body = b"x" * 20_000_000 if scope["path"] == "/long" else b"fine"
    head = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    for place in range(0, len(body), 100_000):
        part = body[place : place + 100_000]
        more = place + len(part) < len(body)
        await send({"type": "http.response.body", "body": part, "more_body": more})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server with small limits."""
    config = uvicorn.Config(
        _app, port=0, http=limited(LIMITS), lifespan="off", log_config=None, timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    await server.shutdown()


async def test_the_room_of_those_who_say_nothing_goes_to_those_who_ask(port: int) -> None:
    silent = [await _opened(port) for _ in range(20)]
    assert await _asked(port) == b"HTTP/1.1 200 OK"
    assert [await _ended(one) for one in silent[:16]] == [True] * 16
    await _close(silent)


async def test_when_all_are_at_work_the_newest_is_closed(port: int) -> None:
    busy = [await _opened(port, b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(4)]
    await asyncio.sleep(0.05)
    with suppress(ConnectionError):
        assert await _asked(port) == b""
    assert [await one[0].readline() for one in busy] == [b"HTTP/1.1 200 OK\r\n"] * 4
    assert await _asked(port) == b"HTTP/1.1 200 OK", "those at rest give way"
    await _close(busy)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET",
        b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
    ],
    ids=["nothing", "half a head", "half a second head", "half a body", "half, but answered"],
)
async def test_what_takes_too_long_is_cut_off(port: int, said: bytes) -> None:
    one = await _opened(port, said)
    assert await _ended(one)
    await _close([one])


async def test_an_answer_nobody_reads_is_cut_off(port: int) -> None:
    reader, writer = await _opened(port, b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(1.5)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(20_000_000)
    await _close([(reader, writer)])


def test_the_reserve_is_never_given_to_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    for files, most in ((1024, 1024 - RESERVE), (256, 128), (10_000, 2000), (-1, 2000)):
        monkeypatch.setattr("resource.getrlimit", lambda _what, files=files: (files, files))
        assert Limits().within_descriptors().total == most


async def _opened(port: int, said: bytes = b"") -> Stream:
    made = await asyncio.open_connection("127.0.0.1", port)
    made[1].write(said)
    return made


async def _asked(port: int) -> bytes:
    reader, writer = await _opened(port, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    try:
        return (await asyncio.wait_for(reader.readline(), 5)).strip()
    finally:
        await _close([(reader, writer)])


async def _ended(one: Stream) -> bool:
    with suppress(ConnectionError):
        await asyncio.wait_for(one[0].read(), 1.8)
    return True


async def _close(streams: list[Stream]) -> None:
    for _, writer in streams:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
