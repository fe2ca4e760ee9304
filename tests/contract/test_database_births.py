"""A keyring that was used with a database knows it again, on both databases; nothing begins anew."""

import shutil
from pathlib import Path

import pytest

from common.audit_trail.birth import demand_same_database, note_birth
from common.audit_trail.producer import lease
from common.audit_trail.tables import audit_trail_tables
from common.database import Database, ensure_schema, new_metadata
from common.keyring import FileKeyring, Keyring
from common.settings import StartRefused
from hubformats.clock import SystemClock
from tests.support.damage import DAMAGES
from tests.support.databases import database_url

__all__ = ["database_url"]

METADATA = new_metadata()
audit_trail_tables(METADATA)


def opened(folder: Path) -> Keyring:
    """A keyring for demonstrations."""
    return FileKeyring(folder, passphrase=None, open_allowed=True)


async def nothing() -> str:
    """Nothing else shows that the service ran."""
    return ""


async def heard() -> str:
    """The bus holds what the service wrote."""
    return "the bus holds what it wrote"


async def used(url: str, keyring: Keyring) -> None:
    """A service runs once on the database."""
    clock = SystemClock()
    database = Database(url, clock=clock, name="births", retry_for=1)
    await database.start()
    await ensure_schema(database, METADATA)
    code, lock = await lease(database, clock)
    note_birth(keyring, code)
    await lock.release()
    await database.stop()


async def test_a_used_keyring_takes_its_own_database_and_no_other(
    database_url: str, tmp_path: Path
) -> None:
    keyring, other = opened(tmp_path / "one"), opened(tmp_path / "two")
    await demand_same_database(database_url, keyring, nothing)
    await used(database_url, keyring)
    await used(database_url, keyring)
    await demand_same_database(database_url, opened(tmp_path / "one"), heard)
    await demand_same_database(database_url, other, heard)
    await used(f"sqlite:///{tmp_path}/other.db", other)
    with pytest.raises(StartRefused, match=r"is another one.*restore"):
        await demand_same_database(database_url, other, nothing)


async def test_an_empty_database_is_refused_beside_a_used_keyring(
    database_url: str, tmp_path: Path
) -> None:
    keyring = opened(tmp_path / "one")
    await used(f"sqlite:///{tmp_path}/first.db", keyring)
    with pytest.raises(StartRefused, match=r"is lost or empty.*restore"):
        await demand_same_database(database_url, keyring, nothing)


async def test_an_empty_database_is_refused_where_anything_else_was_used(
    database_url: str, tmp_path: Path
) -> None:
    keyring = opened(tmp_path / "one")
    with pytest.raises(StartRefused, match=r"is lost or empty, and the bus holds.*restore"):
        await demand_same_database(database_url, keyring, heard)
    await demand_same_database(database_url, keyring, nothing)


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    file, keyring = tmp_path / "hub.db", opened(tmp_path / "one")
    await used(f"sqlite:///{file}", keyring)
    shutil.copy(file, tmp_path / "backup")
    DAMAGES[damage](file)
    before = file.read_bytes() if file.exists() else None
    with pytest.raises(Exception, match=r"lost or empty|damaged|not a database|malformed"):
        await demand_same_database(f"sqlite:///{file}", keyring, nothing)
    assert (file.read_bytes() if file.exists() else None) == before
    shutil.copy(tmp_path / "backup", file)
    await demand_same_database(f"sqlite:///{file}", keyring, nothing)
