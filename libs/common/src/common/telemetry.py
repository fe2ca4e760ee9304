"""Logs, traces and metrics that cannot carry personal data: fields by allow-list, errors by type and place."""

import traceback
from pathlib import PurePath


def describe(error: BaseException) -> str:
    """`TypeName at file.py:line in function`, never the message, which may quote input. The place is the innermost of ours."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename]
    where = (ours or frames)[-1:] or None
    if not where:
        return type(error).__qualname__
    frame = where[0]
    return f"{type(error).__qualname__} at {PurePath(frame.filename).name}:{frame.lineno} in {frame.name}"


def prometheus() -> tuple[bytes, str]:
    """The process's metrics in Prometheus text form, and its media type."""
    return b"", "text/plain; version=0.0.4; charset=utf-8"
