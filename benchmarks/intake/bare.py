"""The peer: FastAPI, one POST, one INSERT of the body as it came, no security. Run as `python -m
benchmarks.intake.bare PORT URL`."""

import asyncio
import json
import sqlite3
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import uvicorn
import uvloop
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool

Insert = Callable[[str, str], Awaitable[None]]


def application(insert: Insert) -> FastAPI:
    """One route; answered when the row is durable."""
    app = FastAPI(openapi_url=None)

    @app.post("/v1/referrals", status_code=201)
    async def submit(body: dict[str, Any]) -> dict[str, str]:
        made = str(uuid4())
        await insert(made, json.dumps(body))
        return {"referralId": made}

    return app


def into_sqlite(path: str) -> Insert:
    """One connection, WAL, synchronous=FULL, a commit per request, on the event loop: less CPU than
    handing it to a thread.
    """
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS referral (id TEXT PRIMARY KEY, body TEXT NOT NULL)"
    )

    async def insert(key: str, body: str) -> None:
        connection.execute("INSERT INTO referral VALUES (?, ?)", (key, body))

    return insert


async def into_postgres(url: str) -> Insert:
    """A pool of connections in autocommit: one round trip per request."""
    pool = AsyncConnectionPool(url, min_size=8, max_size=8, open=False, kwargs={"autocommit": True})
    await pool.open(wait=True)
    async with pool.connection() as connection:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS referral (id text PRIMARY KEY, body text NOT NULL)"
        )

    async def insert(key: str, body: str) -> None:
        async with pool.connection() as connection:
            await connection.execute("INSERT INTO referral VALUES (%s, %s)", (key, body))

    return insert


async def _serve(port: int, url: str) -> None:
    insert = await into_postgres(url) if url.startswith("postgresql:") else into_sqlite(url)
    config = uvicorn.Config(
        application(insert),
        host="127.0.0.1",
        port=port,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(int(sys.argv[1]), sys.argv[2]))
