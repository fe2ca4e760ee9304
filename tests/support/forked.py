"""Processes that a test lets die, each a copy of one that has imported the hub already: what takes a
new process a second or more takes a copy none."""

import asyncio
import multiprocessing
import os
from collections.abc import Callable, Coroutine, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from common import faults

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.support.road_child", "tests.support.crash_worker"])

Main = Callable[..., Coroutine[Any, Any, None]]
PATIENCE_S: Final = 120


def begin(main: Main, *words: object, output: Path, crash_at: str = "") -> BaseProcess:
    """Start `main(*words)` in a test build of its own; what it prints goes to the file `output`.

    `crash_at` names the crash point it dies at, if any. Imported here, `main` is found by its name
    there.
    """
    variables = {"HUB_TEST_BUILD": "1", "HUB_CRASH_AT": crash_at}
    process = CONTEXT.Process(target=_live, args=(main, words, output, variables))
    process.start()
    return process


async def lived(main: Main, *words: object, output: Path, crash_at: str = "") -> tuple[int, str]:
    """Run it to its end; its exit code, negative for a signal, and all that it printed."""
    process = begin(main, *words, output=output, crash_at=crash_at)
    await asyncio.to_thread(process.join, PATIENCE_S)
    assert process.exitcode is not None, "it neither died nor ended"
    return process.exitcode, await asyncio.to_thread(output.read_text, "utf-8")


def _live(
    main: Main, words: tuple[object, ...], output: Path, variables: Mapping[str, str]
) -> None:
    os.environ.update(variables)
    faults._ARMED, faults._LEFT = faults._asked()  # it was imported before anything was armed
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
    asyncio.run(main(*words))
