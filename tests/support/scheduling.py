"""How tests are dealt to pytest's workers: one file, or one `xdist_group` of files, stays together and shares its fixtures."""

import re
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

_GROUP = re.compile(r'xdist_group\("([\w-]+)"\)')


class ByFileAndGroup(LoadScopeScheduling):  # type: ignore[misc]
    """pytest-xdist 3.8's own groups do nothing under pytest 9.2: it writes `Item._nodeid`, which is gone."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(self.config.rootpath, nodeid.split("::", 1)[0])


@cache
def group_of(root: Path, file: str) -> str:
    """The group a test file names in its `pytestmark`, else the file itself."""
    found = _GROUP.search((root / file).read_text())
    return found[1] if found else file


def scheduler(config: pytest.Config, log: object) -> ByFileAndGroup:
    """What `pytest_xdist_make_scheduler` answers."""
    return ByFileAndGroup(config, log)
