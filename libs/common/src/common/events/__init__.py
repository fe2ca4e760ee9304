"""The published language: every event a service may send, by type and version."""

from typing import Final

from common.events.routes import DELIVERED, SHARED, SPOKEN
from hubformats.event import Event, EventMalformed, EventUnknown, Vocabulary

ALL: tuple[type[Event], ...] = tuple(
    sorted(
        {event for events in (*SHARED.values(), DELIVERED, SPOKEN) for event in events},
        key=lambda event: event.__name__,
    )
)
"""Each travels on some topic."""

parse: Final = Vocabulary(ALL).parse

__all__ = ["ALL", "Event", "EventMalformed", "EventUnknown", "parse"]
