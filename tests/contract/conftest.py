"""Fixtures of the contract suites."""

from tests.support.bus_bed import bed

__all__ = ["bed"]
