"""Dates as people read them, in London time (Design System style: "20 November 2026 at 2:05pm")."""

from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

_LONDON: Final = ZoneInfo("Europe/London")
_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def london_day(at: datetime) -> date:
    """Return the date in London at that moment."""
    return at.astimezone(_LONDON).date()


def day(value: str | date) -> str:
    """Write a date as "20 November 2026". Text that is no ISO date stays as it is."""
    try:
        on = date.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return str(value)
    return f"{on.day} {_MONTHS[on.month - 1]} {on.year}"


def moment(value: str | datetime) -> str:
    """Write a moment as "21 November 2026 at 2:05am", or "… at 9am" on the hour.

    Raises ValueError for text that is no ISO moment.
    """
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{day(london_day(at))} at {time_of_day(at)}"


def time_of_day(at: datetime) -> str:
    """Write the time in London as "2:05am", or "9am" on the hour."""
    local = at.astimezone(_LONDON)
    minutes = f":{local.minute:02}" if local.minute else ""
    return f"{local.hour % 12 or 12}{minutes}{'am' if local.hour < 12 else 'pm'}"
