"""A sharing bed on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.databases import database_url
from tests.support.sharing_bed import Bed, sharing_bed

__all__ = ["database_url"]


@pytest.fixture
async def bed(database_url: str, tmp_path: Path) -> AsyncIterator[Bed]:
    """Sharing on a fresh database."""
    async with sharing_bed(database_url, tmp_path) as made:
        yield made
