"""The durable bus of one process, in SQLite."""

from standalone.bus.bus import EmbeddedBus, EmbeddedDoor

__all__ = ["EmbeddedBus", "EmbeddedDoor"]
