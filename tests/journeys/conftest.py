"""What browser journeys share: a hub of the module's own, and one Chromium."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import chromium
from tests.support.hubs import StandaloneHub
from tests.support.portal_stage import running


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneHub]:
    """A hub of the module's own that delivers at once; other journeys start what they need."""
    with running(tmp_path_factory.mktemp("portal")) as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the module."""
    with chromium() as started:
        yield started
