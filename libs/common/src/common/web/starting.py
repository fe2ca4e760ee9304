"""Says in one sentence why a process did not start, with what to do now: docs/starting.md."""

import errno
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

from common.database.engines import checked_url, place_of
from common.settings import Settings, StartRefused
from common.telemetry import describe

_WORDS: Final[Mapping[str, Any]] = tomllib.loads(
    (files("common.web") / "starting.toml").read_text("utf-8")
)
_CODED: Final = {"bootstrap", "operator-key", "keyring", "agreement"}
_ERRNO: Final = {errno.ENOSPC: "disk-full", errno.EDQUOT: "disk-full", errno.EIO: "disk-failed"}


def refusal(error: BaseException, settings: Settings) -> StartRefused:
    """Choose the sentence and status for what stopped a start; a fault of ours has one, too."""
    if isinstance(error, StartRefused):
        return error
    kinds = (kind for name in _names(error) for kind in _WORDS if name in _WORDS[kind]["errors"])
    kind = next(kinds, "unforeseen")
    text = _WORDS[kind]["sentence"].format(
        bootstrap=settings.bootstrap_file,
        keyring=settings.keyring_dir,
        database=place_of(checked_url(settings.database_url)),
        data=settings.data_dir,
        code=str(error) if kind in _CODED else describe(error),
    )
    made = StartRefused(text)
    made.status = _WORDS[kind]["status"]
    return made


def _names(error: BaseException) -> Iterator[str]:
    """Yield the error's names, most exact first: SQLite's name, SQLSTATE, errno, its classes."""
    if error.__cause__ is not None:
        yield from _names(error.__cause__)
    origin = getattr(error, "orig", None) or error
    yield str(getattr(origin, "sqlite_errorname", ""))
    yield str(getattr(origin, "sqlstate", ""))
    yield _ERRNO.get(getattr(origin, "errno", 0), "")
    yield from (each.__name__ for each in type(error).__mro__)
