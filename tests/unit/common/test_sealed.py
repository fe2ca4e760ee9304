"""Sealed fields and subject keys: a ciphertext opens in its own place only, and a destroyed key
takes everything with it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, MetaData, create_engine, event, select, update
from sqlalchemy.exc import IntegrityError

from common.keyring import FileKeyring, Keyring, KeyringRefused
from common.sealed import (
    Place,
    SealRefused,
    SubjectErased,
    SubjectKey,
    SubjectKeys,
    SubjectUnknown,
    blind_index,
    field_version,
    open_field,
    seal_field,
    subject_key_table,
)
from common.testing import ManualClock
from hubformats.ids import uuid7

DEK = bytes(range(32))
ROW, SUBJECT = uuid7(), uuid7()
PLACE = Place("person", "name", ROW, SUBJECT)
METADATA = MetaData()
TABLE = subject_key_table(METADATA)


class CountingKeyring:
    """Passes unwrapping on, counts it, and does something else meanwhile when asked."""

    def __init__(self, keyring: Keyring, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.keyring = keyring
        self.unwrapped = 0
        self.meanwhile = meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self.keyring, name)

    def unwrap(self, blob: bytes, context: bytes) -> bytes:
        """Count and pass on."""
        self.unwrapped += 1
        self.meanwhile()
        return self.keyring.unwrap(blob, context)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    """An open file keyring: the passphrase is not this file's question."""
    return FileKeyring(tmp_path, passphrase=None, open_allowed=True)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A SQLite database in memory."""
    found = create_engine("sqlite://")
    METADATA.create_all(found)
    yield found
    found.dispose()


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction."""
    with engine.begin() as found:
        yield found


@pytest.fixture
def keys(keyring: Keyring) -> SubjectKeys:
    """Subject keys with nothing cached."""
    return SubjectKeys(keyring, TABLE, ManualClock())


def test_a_field_opens_in_its_place() -> None:
    blob = seal_field(DEK, PLACE, 1, b"Nadia Example")
    assert open_field(DEK, PLACE, blob) == b"Nadia Example"
    assert field_version(blob) == 1
    assert b"Nadia" not in blob
    assert len(blob) == 3 + 12 + len("Nadia Example") + 16


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"table": "address"},
        {"column": "phone"},
        {"row_id": uuid7()},
        {"subject_id": uuid7()},
        {"row_id": SUBJECT, "subject_id": ROW},
    ],
    ids=" and ".join,
)
def test_a_field_moved_elsewhere_is_refused(elsewhere: dict[str, Any]) -> None:
    blob = seal_field(DEK, PLACE, 1, b"Nadia Example")
    with pytest.raises(SealRefused):
        open_field(DEK, replace(PLACE, **elsewhere), blob)


def test_every_turned_bit_of_a_field_is_refused() -> None:
    blob = seal_field(DEK, PLACE, 1, b"x")
    for at in range(len(blob) * 8):
        turned = bytearray(blob)
        turned[at // 8] ^= 1 << at % 8
        with pytest.raises(SealRefused):
            open_field(DEK, PLACE, bytes(turned))


@pytest.mark.parametrize("blob", [b"", b"\x01\x00\x01", bytes(40), b"\x02" + bytes(40)])
def test_what_is_no_field_is_refused(blob: bytes) -> None:
    with pytest.raises(SealRefused):
        open_field(DEK, PLACE, blob)


def test_one_field_sealed_twice_gives_two_blobs() -> None:
    assert seal_field(DEK, PLACE, 1, b"x") != seal_field(DEK, PLACE, 1, b"x")


def test_a_subject_key_seals_and_opens_text(conn: Connection, keys: SubjectKeys) -> None:
    key = keys.create(conn, SUBJECT)
    blob = key.seal("person", "name", ROW, "Ünïcode 名")
    assert keys.get(conn, SUBJECT).open("person", "name", ROW, blob) == "Ünïcode 名"


def test_one_subjects_field_does_not_open_for_another(conn: Connection, keys: SubjectKeys) -> None:
    one, two = keys.create(conn, uuid7()), keys.create(conn, uuid7())
    with pytest.raises(SealRefused):
        two.open("person", "name", ROW, one.seal("person", "name", ROW, "Nadia Example"))


def test_many_subjects_are_loaded_by_one_query(conn: Connection, keyring: Keyring) -> None:
    ids = [
        keys.subject_id
        for keys in (
            SubjectKeys(keyring, TABLE, ManualClock()).create(conn, uuid7()) for _ in range(200)
        )
    ]
    statements: list[str] = []
    event.listen(
        conn, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement)
    )
    found = SubjectKeys(keyring, TABLE, ManualClock()).load(conn, [*ids, uuid7()])
    assert set(found) == set(ids)
    assert len(statements) == 1


def test_unwrapped_keys_are_remembered_but_the_table_decides(
    conn: Connection, keyring: Keyring
) -> None:
    counting = CountingKeyring(keyring)
    here, elsewhere = (
        SubjectKeys(counting, TABLE, ManualClock()),
        SubjectKeys(keyring, TABLE, ManualClock()),
    )
    here.create(conn, SUBJECT)
    here.get(conn, SUBJECT)
    here.get(conn, SUBJECT)
    assert counting.unwrapped == 1
    elsewhere.destroy(conn, SUBJECT)
    with pytest.raises(SubjectErased):
        here.get(conn, SUBJECT)
    assert here.load(conn, [SUBJECT]) == {}


def renewed(conn: Connection, keys: SubjectKeys) -> SubjectKey:
    """A second version of the subject's key, as a later release may make it."""
    return keys._add(conn, SUBJECT, 2, keys.get(conn, SUBJECT).deks)


def test_an_erased_subject_stays_erased(conn: Connection, keys: SubjectKeys) -> None:
    keys.create(conn, SUBJECT)
    renewed(conn, keys)
    keys.destroy(conn, SUBJECT)
    keys.destroy(conn, SUBJECT)
    for call in (keys.get, keys.create, keys.ensure):
        with pytest.raises(SubjectErased):
            call(conn, SUBJECT)
    rows = conn.execute(select(TABLE)).all()
    assert [row.wrapped for row in rows] == [None, None]
    assert all(row.destroyed_at for row in rows)


def test_an_unknown_subject_is_not_an_erased_one(conn: Connection, keys: SubjectKeys) -> None:
    for call in (keys.get, keys.destroy):
        with pytest.raises(SubjectUnknown):
            call(conn, uuid7())
    assert keys.load(conn, []) == {}


def test_a_key_is_made_once(conn: Connection, keys: SubjectKeys) -> None:
    made = keys.ensure(conn, SUBJECT)
    assert keys.ensure(conn, SUBJECT).deks == made.deks
    with pytest.raises(ValueError):
        keys.create(conn, SUBJECT)


def test_fresh_subjects_get_their_keys_in_one_statement(
    conn: Connection, keys: SubjectKeys
) -> None:
    statements: list[str] = []
    event.listen(
        conn, "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement)
    )
    ids = [uuid7() for _ in range(4)]
    made = keys.create_fresh(conn, ids)
    assert len(statements) == 1
    for one in ids:
        assert (
            keys.get(conn, one).open(
                "person", "name", ROW, made[one].seal("person", "name", ROW, "Nadia Example")
            )
            == "Nadia Example"
        )
    assert len({key.deks[1] for key in made.values()}) == len(ids)


@pytest.mark.parametrize("erased", [False, True])
def test_a_subject_that_is_not_fresh_gets_no_second_key(
    conn: Connection, keys: SubjectKeys, erased: bool
) -> None:
    keys.create(conn, SUBJECT)
    if erased:
        keys.destroy(conn, SUBJECT)
    with pytest.raises(IntegrityError):
        keys.create_fresh(conn, [uuid7(), SUBJECT])


def test_a_key_lives_and_dies_with_its_transaction(engine: Engine, keys: SubjectKeys) -> None:
    with engine.connect() as conn, conn.begin() as transaction:
        keys.create(conn, SUBJECT)
        keys.get(conn, SUBJECT)
        transaction.rollback()
    with engine.connect() as conn, conn.begin(), pytest.raises(SubjectUnknown):
        keys.get(conn, SUBJECT)


def test_a_new_version_seals_and_the_old_one_still_opens(
    conn: Connection, keys: SubjectKeys
) -> None:
    old = keys.create(conn, SUBJECT).seal("person", "name", ROW, "before")
    key = renewed(conn, keys)
    new = key.seal("person", "name", ROW, "after")
    assert (field_version(old), field_version(new)) == (1, 2)
    found = keys.get(conn, SUBJECT)
    assert [found.open("person", "name", ROW, blob) for blob in (old, new)] == ["before", "after"]


def test_wrapped_keys_swapped_between_subjects_are_refused(
    conn: Connection, keyring: Keyring, keys: SubjectKeys
) -> None:
    one, two = uuid7(), uuid7()
    keys.create(conn, one)
    keys.create(conn, two)
    wrapped = conn.execute(select(TABLE.c.wrapped).where(TABLE.c.subject_id == two)).scalar_one()
    conn.execute(update(TABLE).where(TABLE.c.subject_id == one).values(wrapped=wrapped))
    for ring in (keys, SubjectKeys(keyring, TABLE, ManualClock())):
        ring.load(conn, [two])  # remembered for its owner only
        with pytest.raises(KeyringRefused):
            ring.load(conn, [one])


def test_a_subject_key_shows_nothing_of_itself(conn: Connection, keys: SubjectKeys) -> None:
    key = keys.create(conn, SUBJECT)
    assert repr(key.deks[1]) not in repr(key)


def test_a_blind_index_is_equal_for_equal_values_and_for_nothing_else() -> None:
    assert blind_index(DEK, "person.phone", "+447700900123") == blind_index(
        DEK, "person.phone", " +447700900123 "
    )
    assert blind_index(DEK, "person.name", "STRAßE") == blind_index(DEK, "person.name", "strasse")
    assert blind_index(DEK, "person.name", "\N{LATIN SMALL LIGATURE FI}x") == blind_index(
        DEK, "person.name", "FIX"
    )
    others = [
        (DEK, "person.phone", "+447700900124"),
        (DEK, "person.mobile", "+447700900123"),
        (bytes(32), "person.phone", "+447700900123"),
    ]
    found = {blind_index(*other) for other in others}
    assert len(found) == 3
    assert blind_index(DEK, "person.phone", "+447700900123") not in found
    assert {len(index) for index in found} == {16}
