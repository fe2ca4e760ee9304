"""How tests are dealt to pytest's workers: one file, or one `xdist_group` of files, stays together
and shares its fixtures."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from xdist.scheduler import LoadScopeScheduling

FIRST: Final = ("hubs-over-time", "hubs", "portal", "benchmarks", "hub-stack", "modes", "images")
"""Groups that take minutes, the longest first: one that began last would leave the other workers
idle at the end.
"""

HUB_STACK: Final = "hub-stack"
"""The group of the tests that share the fixture of that name."""

_GROUP = re.compile(r'xdist_group\("([\w-]+)"\)')


class ByFileAndGroup(LoadScopeScheduling):  # type: ignore[misc]
    """pytest-xdist 3.8's own groups do nothing under pytest 9.2: it writes `Item._nodeid`, which is
    gone.
    """

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


def longest_first(root: Path, items: list[pytest.Item]) -> None:
    """Bring the groups of `FIRST` to the front; everything else keeps its order."""
    place = {group: number for number, group in enumerate(FIRST)}
    items.sort(
        key=lambda item: place.get(group_of(root, item.nodeid.split("::", 1)[0]), len(place))
    )


def keep_hub_stack_together(root: Path, items: list[pytest.Item]) -> None:
    """Raises UsageError when a test outside the group asks for the shared stack."""
    for item in items:
        if "hub_stack" in getattr(item, "fixturenames", ()) and not _shares_hub_stack(root, item):
            raise pytest.UsageError(f"{item.nodeid} uses hub_stack outside the group {HUB_STACK}")


def ends_hub_stack(root: Path, item: pytest.Item, following: pytest.Item | None) -> bool:
    """Tell whether the worker's next test is the first after those that share the stack."""
    after = following is not None and _shares_hub_stack(root, following)
    return _shares_hub_stack(root, item) and not after


def _shares_hub_stack(root: Path, item: pytest.Item) -> bool:
    return group_of(root, item.nodeid.split("::", 1)[0]) == HUB_STACK


class Times:
    """How long each group took, in seconds of its worker; the longest decide when a run ends."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add one phase of one test; called where the results are gathered."""
        group = group_of(self._root, report.nodeid.split("::", 1)[0])
        self._seconds[group] += report.duration  # type: ignore[assignment]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show them after a long run."""
        if self._seconds.total() > 60:
            named = (f"{group} {took:.0f}" for group, took in self._seconds.most_common(40))
            terminalreporter.write_line("seconds by group: " + ", ".join(named))
