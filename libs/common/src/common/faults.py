"""Named crash points around every durable step, honoured only in test builds."""

import os
import signal


def _asked() -> tuple[str | None, int]:
    """Read the armed point and at which pass to die: ``HUB_CRASH_AT=<name>[:<pass>]``."""
    if os.environ.get("HUB_TEST_BUILD") != "1":
        return None, 1
    name, _, number = os.environ.get("HUB_CRASH_AT", "").partition(":")
    return name or None, int(number or 1)


_ARMED, _LEFT = _asked()
REACHED = "crash point reached:"


def crash_point(name: str) -> None:
    """Kill this process at once, as a power cut would, when a test build was told to die at `name`.

    Nothing happens unless both HUB_TEST_BUILD=1 and HUB_CRASH_AT name it; a production start sets
    neither.
    """
    global _LEFT
    if _ARMED is not None and name == _ARMED:
        _LEFT -= 1
        if _LEFT <= 0:
            os.write(2, f"{REACHED} {name}\n".encode())  # tells this death from any other
            os.kill(os.getpid(), signal.SIGKILL)
