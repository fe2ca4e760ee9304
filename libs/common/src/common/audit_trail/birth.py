"""The mark by which a keyring knows the database that it was used with."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import inspect, select

from common.audit_trail.tables import PRODUCER
from common.database.engines import checked_url, place_of, reader_engine, sqlite_path
from common.keyring import USED, Keyring
from common.settings import StartRefused


def demand_same_database(url: str, keyring: Keyring) -> None:
    """Check that the database is sound, and the one that this keyring was used with.

    A keyring that was never used knows none. Changes nothing. Raises StartRefused.
    """
    born, parsed = keyring.known(USED), checked_url(url)
    path = sqlite_path(parsed)
    there = path is None or (path.exists() and path.stat().st_size > 0)
    codes = _codes(url) if there else ()
    if born is None or born in map(_mark, codes):
        return
    wrong = "is another one" if codes else "is lost or empty"
    raise StartRefused(
        f"the database {place_of(parsed)} {wrong}, and its keyring has been used: restore the "
        "newest backup of this database; nothing begins anew beside a used keyring"
    )


def note_birth(keyring: Keyring, code: str) -> None:
    """Keep a producer code of the database, once; if we crash before, the next start does."""
    if keyring.known(USED) is None:
        keyring.put_secret(USED, _mark(code))


def _codes(url: str) -> Sequence[str]:
    """The producer codes that were ever leased from a database; they are never taken out."""
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
