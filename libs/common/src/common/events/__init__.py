"""The published language: every event a service may send, by type and version."""

from typing import Final

from common.events import audit, case, identity, sharing
from hubformats import agency_events
from hubformats.event import Event, EventMalformed, EventUnknown, Vocabulary

_MODULES: Final = (agency_events, audit, case, identity, sharing)

ALL: tuple[type[Event], ...] = tuple(
    sorted(
        (
            one
            for module in _MODULES
            for one in vars(module).values()
            if isinstance(one, type) and issubclass(one, Event) and one is not Event
        ),
        key=lambda one: one.__name__,
    )
)
"""Each event class of these modules, by its name: one that stands there is published."""

parse: Final = Vocabulary(ALL).parse

__all__ = ["ALL", "Event", "EventMalformed", "EventUnknown", "parse"]
