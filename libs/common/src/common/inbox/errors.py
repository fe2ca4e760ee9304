"""How a handler says what is wrong with an event."""

from typing import Final

from common.database import DatabaseStopped, DatabaseUnavailable, worth_retrying


class Refused(Exception):
    """The event is authentic but must not be applied, now or ever again as it is.

    `code` goes into the quarantine header.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Transient(Exception):
    """Something this event needs is missing now: keep the offset and try again."""


class DirectoryUnavailable(Transient):
    """An unknown key id could not be asked about, so nothing can be said about the envelope."""


_PASSING: Final = (Transient, DatabaseUnavailable, DatabaseStopped)


def passing(error: BaseException) -> bool:
    """Tell whether the same event may succeed later without anybody changing anything."""
    return isinstance(error, _PASSING) or worth_retrying(error)
