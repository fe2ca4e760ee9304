"""A saved package is private, durable, whole or absent, and never written over."""

import json
import os
import stat
from pathlib import Path

import pytest

from hubpartner.package_file import PackageFileRefused, keep_package, read_package, write_package

ENVELOPE = b'{"ciphertext":"x"}'


def test_what_is_written_is_read_and_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "d.package.json"
    old = os.umask(0)
    try:
        write_package(path, ENVELOPE)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_package(path) == ENVELOPE
    assert list(tmp_path.iterdir()) == [path], "nothing is left beside it"


def test_an_existing_file_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "d.package.json"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        write_package(path, ENVELOPE)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "d.package.json"
    path.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_package(path, ENVELOPE)
    assert not victim.exists()


def test_content_and_name_are_on_disk_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order matters: content before its name appears, then the folder that holds the name."""
    path = tmp_path / "d.package.json"
    steps: list[str] = []
    fsync = os.fsync

    def watched(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        steps.append(f"{kind}, {'named' if path.exists() else 'not named yet'}")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", watched)
    write_package(path, ENVELOPE)
    assert steps == ["file, not named yet", "folder, named"]


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_disk_that_fails_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    calls = 0

    def failing(_handle: int) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError("disk")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(PackageFileRefused, match="nothing was signed"):
        keep_package(tmp_path / "d.package.json", ENVELOPE)


def test_keeping_again_what_is_kept_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "d.package.json"
    keep_package(path, ENVELOPE)
    before = path.stat()
    keep_package(path, ENVELOPE)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "other",
    ["", "mine", json.dumps({"format": "hub-package/1", "envelope": "eA"})],
    ids=["empty", "text", "package"],
)
def test_a_file_with_anything_else_is_left_alone_and_refused(tmp_path: Path, other: str) -> None:
    path = tmp_path / "d.package.json"
    path.write_text(other)
    with pytest.raises(PackageFileRefused, match="holds something else"):
        keep_package(path, ENVELOPE)
    assert path.read_text() == other


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PackageFileRefused, match="cannot be written"):
        keep_package(tmp_path / "nowhere" / "d.package.json", ENVELOPE)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"format":"hub-package/2","envelope":"eA"}',
        b'{"format":"hub-package/1"}',
        b'{"format":"hub-package/1","envelope":"!"}',
        b'{"format":"hub-package/1","envelope":7}',
        b"\xff",
    ],
)
def test_what_is_no_package_is_refused_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(PackageFileRefused) as caught:
        read_package(path)
    assert caught.value.__cause__ is None


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(PackageFileRefused):
        read_package(tmp_path / "x")
