"""FileKeyring's own promises: who may open it, what lies on the disk, and what a crash or an
intruder leaves."""

import json
import logging
import os
import stat
import time
from pathlib import Path

import pytest

from common.keyring import FileKeyring, KeyringLocked, KeyringRefused, files
from hubformats.keys import generate_opening, generate_signing

PASSPHRASE = "correct horse battery staple"


def make(folder: Path) -> FileKeyring:
    """A locked keyring with one of everything."""
    ring = FileKeyring(folder, passphrase=PASSPHRASE)
    ring.secret("blind-index")
    ring.put_signing_key("service", generate_signing("svc:test"))
    ring.put_opening_key("service", generate_opening("svc:test"))
    return ring


def test_production_refuses_to_run_without_a_passphrase(tmp_path: Path) -> None:
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path / "new", passphrase=None)
    assert not (tmp_path / "new").exists()


def test_a_short_passphrase_makes_no_keyring(tmp_path: Path) -> None:
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path, passphrase="eleven char")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("passphrase", ["correct horse battery stapl", "", None])
def test_a_locked_keyring_opens_with_its_passphrase_only(
    tmp_path: Path, passphrase: str | None
) -> None:
    make(tmp_path)
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path, passphrase=passphrase, open_allowed=True)


def test_a_demonstration_runs_open_and_says_so_once_per_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files._warn_once.cache_clear()
    with caplog.at_level(logging.WARNING, "common.keyring"):
        rings = [
            FileKeyring(tmp_path / name, passphrase=None, open_allowed=True)
            for name in ("one", "two", "three")
        ]
    ring = rings[-1]
    assert ring.warnings[0].startswith("keyring-open")
    assert [record.getMessage() for record in caplog.records] == [ring.warnings[0]]
    assert make(tmp_path / "locked").warnings == ()


def test_an_open_keyring_never_passes_for_a_locked_one(tmp_path: Path) -> None:
    FileKeyring(tmp_path, passphrase=None, open_allowed=True)
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path, passphrase=PASSPHRASE)


def test_only_the_owner_may_read_and_nothing_lies_in_the_clear(tmp_path: Path) -> None:
    folder = tmp_path / "keyring"
    before = os.umask(0)
    try:
        ring = make(folder)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    content = b"".join(file.read_bytes() for file in folder.iterdir())
    assert ring.secret("blind-index") not in content
    assert ring.signing_key("service").jwk(private=True)["d"].encode() not in content
    assert b"jwk" not in content


def test_a_file_that_others_may_read_locks_the_keyring(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "root.json").chmod(0o640)
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path, passphrase=PASSPHRASE)


def test_files_swapped_on_the_disk_are_refused(tmp_path: Path) -> None:
    ring = make(tmp_path)
    ring.secret("cursor")
    (tmp_path / "secret.cursor").write_bytes((tmp_path / "secret.blind-index").read_bytes())
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path, passphrase=PASSPHRASE).secret("cursor")


def test_a_file_of_another_keyring_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "one")
    make(tmp_path / "two")
    (tmp_path / "one" / "kek.1").write_bytes((tmp_path / "two" / "kek.1").read_bytes())
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path / "one", passphrase=PASSPHRASE)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"null",
        b'{"mode":"open"}',
        b'{"mode":"argon2id","salt":"!"}',
        b'{"mode":"open","mode":"open"}',
    ],
)
def test_a_damaged_root_file_locks_the_keyring(tmp_path: Path, content: bytes) -> None:
    make(tmp_path)
    (tmp_path / "root.json").write_bytes(content)
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path, passphrase=PASSPHRASE)


def test_a_version_of_the_root_file_from_elsewhere_does_not_weaken_it(tmp_path: Path) -> None:
    make(tmp_path)
    FileKeyring(tmp_path / "open", passphrase=None, open_allowed=True)
    (tmp_path / "root.json").write_bytes((tmp_path / "open" / "root.json").read_bytes())
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path, passphrase=PASSPHRASE)
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path, passphrase=None, open_allowed=True)


def test_what_was_destroyed_is_overwritten_through_every_link(tmp_path: Path) -> None:
    ring = make(tmp_path)
    kid = next(iter(ring.opening_keys("service")))
    kept = tmp_path / ".part-left-by-a-crash"
    kept.hardlink_to(tmp_path / f"opening.service.{kid}")
    ring.destroy_opening_key("service", kid)
    assert set(kept.read_bytes()) == {0}


def test_a_destruction_cut_short_is_finished_at_the_next_start(tmp_path: Path) -> None:
    ring = make(tmp_path)
    blob = ring.wrap(bytes(32), b"c")
    ring.rotate_kek()
    # The crash came after the rename and before the overwriting.
    (tmp_path / "kek.1").rename(tmp_path / ".destroyed-0123456789abcdef")
    again = FileKeyring(tmp_path, passphrase=PASSPHRASE)
    assert not list(tmp_path.glob(".destroyed-*"))
    with pytest.raises(KeyringRefused):
        again.unwrap(blob, b"c")
    assert again.kek_id == "kek-2"


def test_leavings_of_a_crash_before_a_file_was_whole_do_no_harm(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / ".part-0123456789abcdef").write_bytes(b"half")
    assert FileKeyring(tmp_path, passphrase=PASSPHRASE).kek_id == "kek-1"


def test_a_rotation_within_one_tick_of_the_file_system_is_noticed(tmp_path: Path) -> None:
    ring, other = make(tmp_path), FileKeyring(tmp_path, passphrase=PASSPHRASE)
    now = time.time_ns()
    os.utime(tmp_path, ns=(now, now))
    before = ring.kek_id
    after = other.rotate_kek()
    os.utime(tmp_path, ns=(now, now))
    assert ring.kek_id == after != before


def test_opening_keys_are_read_once_until_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = make(tmp_path)
    still(tmp_path)
    read: list[str] = []
    inner = ring._folder.read

    def noted(name: str) -> bytes | None:
        read.append(name)
        return inner(name)

    monkeypatch.setattr(ring._folder, "read", noted)
    first, second = ring.opening_keys("service"), ring.opening_keys("service")
    assert first == second
    assert len([name for name in read if name.startswith("opening.")]) == len(first) == 1


def test_an_opening_key_that_another_process_adds_or_destroys_is_noticed(tmp_path: Path) -> None:
    ring, other = make(tmp_path), FileKeyring(tmp_path, passphrase=PASSPHRASE)
    still(tmp_path)
    (old,) = ring.opening_keys("service")
    new = generate_opening("svc:test")
    other.put_opening_key("service", new)
    assert set(ring.opening_keys("service")) == {old, new.kid}
    still(tmp_path)
    assert set(ring.opening_keys("service")) == {old, new.kid}
    other.destroy_opening_key("service", old)
    assert set(ring.opening_keys("service")) == set(other.opening_keys("service")) == {new.kid}


def still(folder: Path) -> None:
    """As if nobody had touched the folder for a second."""
    before = time.time_ns() - 1_000_000_000
    os.utime(folder, ns=(before, before))


def test_a_shared_secret_is_set_once(tmp_path: Path) -> None:
    ring = FileKeyring(tmp_path, passphrase=None, open_allowed=True)
    ring.put_secret("case-reference", bytes(32))
    ring.put_secret("case-reference", bytes(32))
    assert ring.secret("case-reference") == bytes(32)
    with pytest.raises(ValueError):
        ring.put_secret("case-reference", bytes([1] * 32))
    with pytest.raises(ValueError):
        ring.put_secret("short", b"short")


def test_the_passphrase_is_stretched_with_a_salt_of_its_own(tmp_path: Path) -> None:
    roots = []
    for name in ("one", "two"):
        make(tmp_path / name)
        roots.append(json.loads((tmp_path / name / "root.json").read_text()))
    assert roots[0]["mode"] == "argon2id"
    assert roots[0]["salt"] != roots[1]["salt"]
    assert roots[0]["sealed"] != roots[1]["sealed"]
