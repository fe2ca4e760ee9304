"""By when a delivery is to be accepted."""

from datetime import datetime, timedelta


def accept_by(codes: set[str], delivered: datetime) -> datetime | None:
    """Tell when a delivery under these obligations must be accepted, None where none sets a time.

    Working days are Monday to Friday. Bank holidays are not known here, so the moment is never too
    late.
    """
    if "acknowledge-one-hour" in codes:
        return delivered + timedelta(hours=1)
    if "acknowledge-two-days" not in codes:
        return None
    day, left = delivered, 2
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < 5
    return day
