"""Fixtures of the contract suites."""

from tests.support.bus_harness import harness

__all__ = ["harness"]
