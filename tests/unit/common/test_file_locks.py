"""A lock on a file is the process's own: it ends with it, however it dies, and not before."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import Timeout

from common.database import file_lock

HOLDER = """
import subprocess, sys, time
from pathlib import Path
from common.database import file_lock
lock = file_lock(Path(sys.argv[1]))
lock.acquire(blocking=False)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_killed_holder_leaves_the_lock_though_its_child_lives_on(tmp_path: Path) -> None:
    path = tmp_path / "hub.lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(Timeout):
                file_lock(path).acquire(blocking=False)
            holder.send_signal(signal.SIGKILL)
            holder.wait(10)
            lock = file_lock(path)
            lock.acquire(blocking=False)
            assert lock.is_locked
            lock.release()
        finally:
            os.kill(child, signal.SIGKILL)


def test_two_locks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    first, second = file_lock(tmp_path / "a.lock"), file_lock(tmp_path / "a.lock")
    first.acquire(blocking=False)
    with pytest.raises(Timeout):
        second.acquire(blocking=False)
    first.release()
    second.acquire(blocking=False)
    second.release()
    assert (tmp_path / "a.lock").stat().st_mode & 0o077 == 0
