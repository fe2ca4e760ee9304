"""The durable bus of one process, in SQLite."""

from standalone.bus.bus import EmbeddedBus, EmbeddedHandle

__all__ = ["EmbeddedBus", "EmbeddedHandle"]
