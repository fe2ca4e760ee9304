"""A sharing harness on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.databases import database_url
from tests.support.sharing_harness import SharingHarness, sharing_harness

__all__ = ["database_url"]


@pytest.fixture
async def harness(database_url: str, tmp_path: Path) -> AsyncIterator[SharingHarness]:
    """Sharing on a fresh database."""
    async with sharing_harness(database_url, tmp_path) as made:
        yield made
