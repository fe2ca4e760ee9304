"""The mark by which a keyring knows the database that it was used with."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from sqlalchemy import inspect, select

from common.audit_trail.tables import PRODUCER
from common.database.engines import checked_url, place_of, reader_engine, sqlite_path
from common.keyring import USED, Keyring
from common.settings import StartRefused

KEYRING_USED: Final = "its keyring has been used"


async def demand_same_database(
    url: str, keyring: Keyring, trace: Callable[[], Awaitable[str]]
) -> None:
    """Check that the database is sound, and the one that this keyring was used with.

    A keyring without a mark knows none. Beside an empty database `trace` says what else shows that
    it was used. Changes nothing.

    Raises StartRefused, and what `trace` raises.
    """
    born, parsed = keyring.known(USED), checked_url(url)
    path = sqlite_path(parsed)
    there = path is None or (path.exists() and path.stat().st_size > 0)
    codes = await asyncio.to_thread(_codes, url) if there else ()
    known = bool(codes) if born is None else born in map(_mark, codes)
    used = "" if known else await trace() if born is None else KEYRING_USED
    if used:
        wrong = "is another one" if codes else "is lost or empty"
        raise StartRefused(
            f"the database {place_of(parsed)} {wrong}, and {used}: restore the newest backup of "
            "this database; nothing begins anew beside what was used"
        )


def note_birth(keyring: Keyring, code: str) -> None:
    """Keep a producer code of the database, once; if we crash before, the next start does."""
    if keyring.known(USED) is None:
        keyring.put_secret(USED, _mark(code))


def _codes(url: str) -> Sequence[str]:
    """Read the producer codes that were ever leased from a database; they are never taken out."""
    engine = reader_engine(checked_url(url), 1)
    try:
        with engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                told = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
                if told != "ok":
                    raise StartRefused(
                        f"the database {place_of(engine.url)} is damaged: move it aside and "
                        "restore its newest backup"
                    )
            if not inspect(connection).has_table(PRODUCER.name):
                return ()
            return connection.execute(select(PRODUCER.c.src)).scalars().all()
    finally:
        engine.dispose()


def _mark(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
