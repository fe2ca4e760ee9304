"""Each thing that stops a start has one sentence, which the operators' page explains."""

import errno
import os
import sqlite3
import tomllib
from pathlib import Path

import pytest
from alembic.util.exc import CommandError
from sqlalchemy.exc import OperationalError

from common.bus import BusUnavailable
from common.database import DatabaseUnavailable
from common.keyring import KeyAbsent, KeyringLocked
from common.settings import Settings, StartRefused
from common.web import starting
from hubformats.bootstrap import BootstrapRefused, OperatorKeyRefused

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "starting.md"
WORDS = tomllib.loads((Path(starting.__file__).parent / "starting.toml").read_text("utf-8"))


def settings(folder: Path) -> Settings:
    """Of one service in this folder."""
    return Settings(
        service_url="http://127.0.0.1:1",
        issuer="http://127.0.0.1:1",
        database_url=f"sqlite:///{folder}/data/x.db",
        keyring_dir=folder / "keyring",
        bootstrap_file=folder / "public",
        data_dir=folder / "data",
        demo=True,
    )


def sqlite_error(name: str) -> OperationalError:
    """As SQLAlchemy hands one on."""
    origin = sqlite3.OperationalError("secret text")
    origin.sqlite_errorname = name
    return OperationalError("SELECT secret", {}, origin)


def caused(error: Exception, cause: Exception) -> Exception:
    """`error`, raised from `cause`."""
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BootstrapRefused("bootstrap-malformed"), "bootstrap"),
        (OperatorKeyRefused("operator-key-malformed"), "operator-key"),
        (KeyringLocked("a file of the keyring was changed"), "keyring"),
        (KeyAbsent("service"), "keyring"),
        (sqlite_error("SQLITE_NOTADB"), "database-damaged"),
        (sqlite_error("SQLITE_CORRUPT"), "database-damaged"),
        (sqlite_error("SQLITE_CANTOPEN"), "database-unusable"),
        (sqlite_error("SQLITE_FULL"), "disk-full"),
        (caused(DatabaseUnavailable("late"), sqlite_error("SQLITE_FULL")), "disk-full"),
        (caused(BusUnavailable("no"), sqlite_error("SQLITE_NOTADB")), "database-damaged"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "disk-full"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "disk-failed"),
        (PermissionError(errno.EACCES, "secret"), "database-unusable"),
        (CommandError("Can't locate revision secret"), "database-newer"),
        (DatabaseUnavailable("late"), "server-away"),
        (BusUnavailable("no"), "server-away"),
        (ZeroDivisionError("secret"), "unforeseen"),
    ],
)
def test_each_error_has_its_sentence_with_the_place_and_what_now(
    error: Exception, kind: str, tmp_path: Path
) -> None:
    said = starting.refusal(error, settings(tmp_path))
    assert said.status == WORDS[kind]["status"]
    assert "\n" not in str(said)
    assert "secret" not in str(said)
    assert ":" in str(said)
    if kind != "unforeseen":
        assert str(tmp_path) in str(said)


def test_a_refusal_with_its_own_sentence_keeps_it(tmp_path: Path) -> None:
    own = StartRefused("the log: restore it")
    assert starting.refusal(own, settings(tmp_path)) is own
    assert own.status == 3


def test_the_operators_page_has_every_sentence_and_status() -> None:
    page = " ".join(PAGE.read_text("utf-8").split())
    for kind, words in WORDS.items():
        start = words["sentence"].partition("{")[0].strip() or words["sentence"].split("}")[1]
        assert start.strip(" (,:") in page, kind
        assert f"| {words['status']} |" in page, kind
