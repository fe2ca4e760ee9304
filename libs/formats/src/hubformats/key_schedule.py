"""When a service's opening keys are made, used, retired and destroyed. Dated periods, and the next
steps of a keyring under them."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

from hubformats.keys import OpeningKey

_FOLDER: Final = "rules"


@dataclass(frozen=True, slots=True)
class Periods:
    """How long a service's opening key serves, as in force from a day on."""

    in_force_from: date
    used: timedelta
    """Senders seal to a key for so long; then the next one takes its place."""
    ahead: timedelta
    """A new key is published so long before anybody seals to it."""
    kept: timedelta
    """A retired key opens what is under way for so long, and is then destroyed."""
    steady: timedelta
    """News must have come without a break for so long before a key is destroyed."""


@dataclass(frozen=True, slots=True)
class Steps:
    """What a keyring needs now. `begins` of a key to make, key ids to give another beginning, and
    key ids whose time is over.
    """

    make: int | None = None
    postpone: Mapping[str, int] = field(default_factory=dict)
    destroy: tuple[str, ...] = ()


@cache
def all_periods() -> tuple[Periods, ...]:
    """Read every version of the periods, oldest first."""
    folder = files("hubformats") / _FOLDER
    texts = [one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".toml")]
    return tuple(sorted(map(_read, texts), key=lambda one: one.in_force_from))


def periods_on(day: date) -> Periods:
    """Return the periods in force on a day; before the first ones, the first."""
    begun = [one for one in all_periods() if one.in_force_from <= day]
    return begun[-1] if begun else all_periods()[0]


def steps(
    held: Mapping[str, OpeningKey],
    published: Collection[str],
    *,
    created: datetime,
    now: datetime,
    periods: Periods,
) -> Steps:
    """Tell what to do with the keys `held`, of which senders know those `published`.

    `created` is the beginning of a key that names none: the one made with the hub. A key takes the
    place of another only when it is published. So a directory that takes nothing in retires and
    destroys nothing.
    """
    order = sorted(held.values(), key=lambda key: begun(key, created))
    known = [key for key in order if key.kid in published]
    soonest = now + periods.ahead
    late = {
        key.kid: _seconds(soonest)
        for key in order
        # Nobody knows it yet, so nobody has sealed to it: it may still begin later.
        if key.kid not in published and begun(key, created) < soonest - timedelta(minutes=1)
    }
    serving = [key for key in known if begun(key, created) <= now]
    if not serving:
        return Steps(postpone=late)
    ends = begun(serving[-1], created) + periods.used
    make = None
    if serving[-1] is order[-1] and soonest >= ends:
        make = _seconds(max(ends, soonest))
    over = [
        key.kid
        for key, successor in pairwise(serving)
        if begun(successor, created) + periods.kept <= now
    ]
    return Steps(make, late, tuple(over))


def begun(key: OpeningKey, created: datetime) -> datetime:
    """Return when senders began, or will begin, to seal to a key."""
    return datetime.fromtimestamp(key.begins, UTC) if key.begins else created


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _read(text: str) -> Periods:
    raw = tomllib.loads(text)
    return Periods(
        raw["in_force_from"],
        timedelta(days=raw["used_days"]),
        timedelta(hours=raw["published_ahead_hours"]),
        timedelta(days=raw["kept_after_retirement_days"]),
        timedelta(minutes=raw["steady_minutes"]),
    )
