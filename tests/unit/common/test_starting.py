"""A process that starts while its broker is away, and the deaths that tests order."""

import subprocess
import sys

import pytest

from common.bus import Bus, BusUnavailable
from common.web import run


class LateBus:
    """A broker that answers the third time, or never."""

    def __init__(self, after: int) -> None:
        self.tries = 0
        self._after = after

    async def start(self) -> None:
        """Refuse until then."""
        self.tries += 1
        if self.tries < self._after:
            raise BusUnavailable("not there")


async def _reached(bus: object, monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_seconds: float) -> None:
        return None

    monkeypatch.setattr("common.web.run.asyncio.sleep", at_once)
    given: Bus = bus  # type: ignore[assignment]  # of a bus, only its start is used here
    await run._reach(given)


async def test_a_broker_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both may have gone down with the same machine."""
    bus = LateBus(after=3)
    await _reached(bus, monkeypatch)
    assert bus.tries == 3


async def test_a_broker_that_stays_away_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor is to know."""
    monkeypatch.setattr(run, "_PATIENCE_S", -1.0)
    with pytest.raises(BusUnavailable):
        await _reached(LateBus(after=99), monkeypatch)


@pytest.mark.parametrize(
    ("environment", "passed"),
    [
        ({"HUB_TEST_BUILD": "1", "HUB_CRASH_AT": "here"}, 0),
        ({"HUB_TEST_BUILD": "1", "HUB_CRASH_AT": "here:3"}, 2),
        ({"HUB_TEST_BUILD": "1", "HUB_CRASH_AT": "elsewhere"}, 5),
        ({"HUB_TEST_BUILD": "0", "HUB_CRASH_AT": "here"}, 5),
        ({"HUB_CRASH_AT": "here"}, 5),
    ],
)
def test_a_crash_point_kills_at_its_pass_and_only_in_a_test_build(
    environment: dict[str, str], passed: int
) -> None:
    """A production start that carries the variable by mistake goes on."""
    program = (
        "from common.faults import crash_point\nfor n in range(5):\n    "
        "crash_point('here')\n    print(n, flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert len(done.stdout.split()) == passed
    assert done.returncode == (0 if passed == 5 else -9)
    assert done.stderr == ("" if passed == 5 else "crash point reached: here\n")
