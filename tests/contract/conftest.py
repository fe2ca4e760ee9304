"""Fixtures of the contract suites."""

from tests.support.bus_harness import harness
from tests.support.sharing_ports import ports

__all__ = ["harness", "ports"]
