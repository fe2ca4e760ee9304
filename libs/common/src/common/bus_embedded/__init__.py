"""The durable bus of one process, in SQLite."""

from common.bus_embedded.bus import EmbeddedBus, EmbeddedDoor

__all__ = ["EmbeddedBus", "EmbeddedDoor"]
