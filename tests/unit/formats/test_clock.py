"""A test may move the clocks of all processes at once, forward only; nothing else may."""

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.telemetry import JsonLines
from hubformats.clock import ClockOffset, ClockRefused, SystemClock, longest, rest
from tests.support.moving_clock import LONDON, MovingClock

HOUR = timedelta(hours=1)
TELLS = """
import sys
from hubformats.clock import SystemClock
clock = SystemClock()
for _ in sys.stdin:
    print(clock.now().timestamp(), clock.micros() / 1e6, clock.monotonic(), flush=True)
"""


@pytest.fixture
def moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MovingClock:
    made = MovingClock(tmp_path)
    made.follow(monkeypatch)
    return made


def test_the_machines_own_clock_is_told_where_nothing_moves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HUB_CLOCK_FILE", raising=False)
    clock = SystemClock()
    assert (clock.jumps, clock.ahead) == (False, timedelta())
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 1
    assert abs(clock.micros() - time.time_ns() // 1000) < 1_000_000
    assert abs(clock.monotonic() - time.monotonic()) < 1


def test_a_jump_is_seen_at_once_by_all_three_of_its_readings(moving: MovingClock) -> None:
    clock = SystemClock()
    now, micros, monotonic = clock.now(), clock.micros(), clock.monotonic()
    moving.advance(HOUR)
    assert timedelta() <= clock.now() - now - HOUR < timedelta(seconds=1)
    assert 0 <= clock.micros() - micros - 3_600_000_000 < 1_000_000
    assert 0 <= clock.monotonic() - monotonic - 3600 < 1
    assert clock.ahead == HOUR


def test_another_process_sees_it_at_once(moving: MovingClock) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TELLS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **moving.environment},
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def told() -> list[float]:
            assert other.stdin is not None
            assert other.stdout is not None
            other.stdin.write("\n")
            other.stdin.flush()
            return [float(word) for word in other.stdout.readline().split()]

        before = told()
        for hours in (1, 48):
            moving.advance(timedelta(hours=hours))
            after = told()
            for then, now in zip(before, after, strict=True):
                assert 0 <= now - then - 3600 * hours < 5
            before = after
        assert abs(before[0] - SystemClock().now().timestamp()) < 1
        other.stdin.close()


def test_it_never_goes_back(moving: MovingClock, tmp_path: Path) -> None:
    moving.advance(HOUR)
    with pytest.raises(ClockRefused):
        moving.advance(timedelta(seconds=-1))
    with pytest.raises(ClockRefused):
        moving.to_london(datetime(2020, 1, 1))  # noqa: DTZ001 - a wall-clock time
    again = ClockOffset.create(tmp_path / "clock")
    assert again.nanos == 3_600_000_000_000, "a second look does not begin anew"


def test_a_file_written_in_place_keeps_its_readers(moving: MovingClock, tmp_path: Path) -> None:
    clock = SystemClock()
    inode = (tmp_path / "clock").stat().st_ino
    moving.advance(HOUR)
    assert (tmp_path / "clock").stat().st_ino == inode
    assert (tmp_path / "clock").stat().st_size == 8
    assert clock.ahead == HOUR


@pytest.mark.usefixtures("moving")
@pytest.mark.parametrize("build", [None, "0", "yes"])
def test_it_is_refused_outside_a_test_build(
    monkeypatch: pytest.MonkeyPatch, build: str | None
) -> None:
    if build is None:
        monkeypatch.delenv("HUB_TEST_BUILD")
    else:
        monkeypatch.setenv("HUB_TEST_BUILD", build)
    with pytest.raises(ClockRefused, match="HUB_CLOCK_FILE must be unset"):
        SystemClock()


@pytest.mark.parametrize(
    "program",
    [
        ["-m", "standalone"],
        ["-m", "referral"],
        ["-c", "from hubpartner.cli import main; main()", "inbox"],
    ],
    ids=["standalone", "service", "hubctl"],
)
def test_a_program_that_carries_it_by_mistake_does_not_start(
    tmp_path: Path, program: list[str]
) -> None:
    MovingClock(tmp_path)
    needed = {
        f"HUB_{name}": f"http://127.0.0.1:1/{name}"
        for name in ("SERVICE_URL", "ISSUER", "REFERRAL_URL", "SHARING_URL", "AUDIT_URL")
    }
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HUB_")},
        **needed,
        "HUB_IDENTITY_URL": "http://127.0.0.1:1/identity",
        "HUB_DATABASE_URL": f"sqlite:///{tmp_path}/x.db",
        "HUB_KEYRING_DIR": str(tmp_path),
        "HUB_BOOTSTRAP_FILE": str(tmp_path),
        "HUB_DATA_DIR": str(tmp_path),
        "HUB_BUS": "kafka",
        "HUB_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "HUB_KAFKA_USER": "x",
        "HUB_KAFKA_PASSWORD": "x",
        "HUB_DIR": str(tmp_path / "hub"),
        "HUB_CLOCK_FILE": str(tmp_path / "clock"),
    }
    if program[-1] == "standalone":
        environment = {n: v for n, v in environment.items() if not n.startswith("HUB_KAFKA")}
        environment.pop("HUB_BUS")
    done = subprocess.run(
        [sys.executable, *program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode in {1, 2}
    assert "HUB_CLOCK_FILE must be unset" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", [None, b"", b"1234567"])
def test_a_file_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "other").write_bytes(content)
    monkeypatch.setenv("HUB_TEST_BUILD", "1")
    monkeypatch.setenv("HUB_CLOCK_FILE", str(tmp_path / "other"))
    with pytest.raises(ClockRefused, match="8 bytes"):
        SystemClock()


async def test_a_long_sleep_sees_a_jump(moving: MovingClock) -> None:
    began = time.monotonic()
    sleeping = asyncio.create_task(rest(SystemClock(), 3600))
    await asyncio.sleep(0.05)
    assert not sleeping.done()
    moving.advance(HOUR)
    await asyncio.wait_for(sleeping, 5)
    assert time.monotonic() - began < 5
    assert longest(SystemClock(), 3600) <= 1


async def test_a_sleep_of_a_real_clock_is_one_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUB_CLOCK_FILE", raising=False)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await rest(SystemClock(), 15.0)
    assert slept == [15.0]
    assert longest(SystemClock(), 15.0) == 15.0


def test_the_time_of_a_log_line_follows(moving: MovingClock) -> None:
    record = logging.LogRecord("hub.test", logging.INFO, "x", 1, "said", None, None)
    lines = JsonLines("test")
    moving.advance(HOUR)
    at = datetime.fromisoformat(json.loads(lines.format(record))["time"])
    assert abs((at - datetime.now(UTC) - HOUR).total_seconds()) < 5


def test_the_night_of_march_and_the_night_of_october(moving: MovingClock) -> None:
    clock = SystemClock()
    moving.to_london(datetime(2027, 3, 28, 0, 59, 59))  # noqa: DTZ001 - a wall-clock time
    assert clock.now().astimezone(LONDON).utcoffset() == timedelta()
    moving.advance(timedelta(seconds=1))
    shown = clock.now().astimezone(LONDON)
    assert (shown.hour, shown.utcoffset()) == (2, HOUR), "there is no one o'clock"
    with pytest.raises(ValueError, match="never show"):
        moving.to_london(datetime(2028, 3, 26, 1, 30))  # noqa: DTZ001
    moving.to_london(datetime(2027, 10, 31, 1, 30))  # noqa: DTZ001
    first = clock.now()
    moving.to_london(datetime(2027, 10, 31, 1, 30, fold=1))  # noqa: DTZ001
    assert abs(clock.now() - first - HOUR) < timedelta(seconds=5)
