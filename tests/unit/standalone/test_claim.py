"""A second hub on the same port or folder says so at once and leaves the first one's files as they
are."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.topics import topics
from standalone import __main__ as program
from standalone.bus import EmbeddedBus
from standalone.claim import BUS_LOCK, LOCK, Taken, claim_folder, claim_port


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken


@pytest.fixture
def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as once:
        return int(once.getsockname()[1])


def started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path, port: int
) -> str:
    """Start the program, which ends with status 1; what it says on its way out."""
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("HUB_DIR", str(folder))
    with pytest.raises(SystemExit) as left:
        program.main()
    assert left.value.code == 1
    return capsys.readouterr().err


def test_a_port_in_use_is_said_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    listening: socket.socket,
) -> None:
    port = listening.getsockname()[1]
    said = started(monkeypatch, capsys, tmp_path, port)
    assert f"port {port} is in use; choose another: make run PORT=" in said
    assert not list(tmp_path.iterdir())


def test_a_folder_in_use_keeps_its_profiles(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    free: int,
) -> None:
    held = claim_folder(tmp_path)
    profile = tmp_path / "demo" / "northmoor-police.toml"
    profile.parent.mkdir()
    profile.write_text("of the running hub")
    said = started(monkeypatch, capsys, tmp_path, free)
    held.release()
    assert (
        f"a hub is already running in {tmp_path} (or its bus is locked); stop it or choose "
        "another HUB_DIR=" in said
    )
    assert profile.read_text() == "of the running hub"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "demo", "hub.lock"]


def test_the_end_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("HUB_DIR", str(tmp_path))
    monkeypatch.setattr(program, "_run", interrupted)
    program.main()
    assert f"The hub is stopped. Its data stay in {tmp_path}" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["a file", "below a file", "lock is a folder"])
def test_a_folder_that_cannot_be_used_is_said(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    free: int,
    kind: str,
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "hub" / LOCK).mkdir(parents=True)
    folder = {
        "a file": tmp_path / "file",
        "below a file": tmp_path / "file" / "hub",
        "lock is a folder": tmp_path / "hub",
    }[kind]
    assert f"the folder {folder} cannot be used" in started(monkeypatch, capsys, folder, free)


async def test_a_bus_that_is_served_counts_as_a_running_hub(tmp_path: Path) -> None:
    path = tmp_path / BUS_LOCK.with_suffix("")
    path.parent.mkdir()
    bus = EmbeddedBus(path, topics(("northmoor-police",)))
    await bus.start()
    try:
        with pytest.raises(Taken):
            claim_folder(tmp_path)
    finally:
        await bus.stop()
    claim_folder(tmp_path).release()


def test_a_folder_let_go_may_be_claimed_again(tmp_path: Path) -> None:
    claim_folder(tmp_path / "new").release()
    claim_folder(tmp_path / "new").release()


def test_git_is_told_to_leave_a_folder_alone(tmp_path: Path) -> None:
    """It holds private keys, and may lie inside a clone."""
    claim_folder(tmp_path / "hub").release()
    assert (tmp_path / "hub" / ".gitignore").read_text() == "*\n"
    (tmp_path / ".gitignore").write_text("hub/\n")
    claim_folder(tmp_path).release()
    assert (tmp_path / ".gitignore").read_text() == "hub/\n", "what somebody wrote stays"


def test_a_claimed_port_answers_nobody_yet(free: int) -> None:
    with claim_port("127.0.0.1", free), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", free), timeout=2)
