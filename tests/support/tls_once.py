"""The public authorities are read once in a process, not for each HTTP client: 50 ms of CPU, and a
test that polls makes ten clients a second."""

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import httpx2
import httpx2._transports.default as transports
import pytest

MADE_BY: Final[Callable[..., ssl.SSLContext]] = httpx2.create_ssl_context


@contextmanager
def shared_defaults() -> Iterator[None]:
    """Let clients that ask for nothing of their own share one context inside the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transports, "create_ssl_context", shared)
        yield


def shared(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    """Return what httpx2 would make, the one without wishes once."""
    if verify is not True or cert is not None:
        return MADE_BY(verify=verify, cert=cert, trust_env=trust_env)
    named = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    return _default(named, trust_env=trust_env)


@cache
def _default(named: tuple[str | None, str | None], *, trust_env: bool) -> ssl.SSLContext:
    """One for each pair of variables that choose the authorities."""
    del named
    return MADE_BY(verify=True, trust_env=trust_env)
