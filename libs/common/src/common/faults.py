"""Named crash points around every durable step, honoured only in test builds."""

import os
import signal

_ARMED = os.environ.get("HUB_CRASH_AT") if os.environ.get("HUB_TEST_BUILD") == "1" else None


def crash_point(name: str) -> None:
    """Kill this process at once, as a power cut would, when a test build was told to die at `name`.

    Nothing happens unless both HUB_TEST_BUILD=1 and HUB_CRASH_AT name it; a production start sets neither.
    """
    if _ARMED is not None and name == _ARMED:
        os.kill(os.getpid(), signal.SIGKILL)
