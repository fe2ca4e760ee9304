"""`make demo-reset` deletes a demo hub's data and nothing else, whatever HUB_DIR says."""

import fcntl
import json
from pathlib import Path

import pytest

from deploy.demo_reset import reset
from hubformats.canonical import b64u


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A folder as a demo hub leaves it, with the data of `make stack` beside."""
    (tmp_path / "referral").mkdir()
    (tmp_path / "referral" / "referral.db").write_text("rows")
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "kept.lock").write_text("")
    return write_bootstrap(tmp_path, demo=True)


def write_bootstrap(folder: Path, *, demo: bool) -> Path:
    payload = b64u(json.dumps({"demo": demo}).encode())
    (folder / "bootstrap.json").write_text(
        json.dumps({"payload": payload, "protected": "", "signature": ""})
    )
    return folder


def test_demo_data_go_and_the_stack_stays(hub: Path) -> None:
    assert reset(hub) == 0
    assert [path.name for path in hub.iterdir()] == ["stack"]


def test_what_keeps_the_folder_out_of_git_stays_and_is_no_data(hub: Path) -> None:
    (hub / ".gitignore").write_text("*\n")
    assert (reset(hub), reset(hub)) == (0, 0)
    assert (hub / ".gitignore").exists()


def test_resetting_twice_or_nothing_is_fine(hub: Path, tmp_path: Path) -> None:
    assert reset(hub) == reset(hub) == reset(tmp_path / "never made") == 0


def test_a_folder_without_a_hub_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    assert reset(tmp_path) == 1
    assert (tmp_path / "photographs").exists()


@pytest.mark.parametrize("bootstrap", ["", "{}", "[]", '{"payload": "%"}', '{"payload": 7}'])
def test_a_folder_with_an_unreadable_bootstrap_is_left_alone(hub: Path, bootstrap: str) -> None:
    (hub / "bootstrap.json").write_text(bootstrap)
    assert reset(hub) == 1
    assert (hub / "referral" / "referral.db").exists()


def test_a_hub_that_is_no_demonstration_is_left_alone(hub: Path) -> None:
    write_bootstrap(hub, demo=False)
    assert reset(hub) == 1
    assert (hub / "referral" / "referral.db").exists()


def test_a_running_hub_is_left_alone(hub: Path) -> None:
    with (hub / "referral" / "referral.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert reset(hub) == 1
    assert (hub / "referral" / "referral.db").exists()
