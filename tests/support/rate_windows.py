"""Holds the clock of the rate limits still, for tests of small quotas.

Their windows begin at full minutes of the wall clock: a test that a new minute finds half-way
would be allowed more than it asks for.
"""

import time
from types import SimpleNamespace

import limits.aio.storage.memory
import limits.aio.strategies
import pytest


def stand_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every rate limit of this process take the present for now, until the test ends."""
    now = time.time()
    held = SimpleNamespace(time=lambda: now)
    for module in (limits.aio.storage.memory, limits.aio.strategies):
        monkeypatch.setattr(module, "time", held)
