"""Identifiers: time-ordered UUIDv7 for rows and events, random opaque strings for handles."""

import base64
import secrets
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last_ms = 0
_counter = 0


def uuid7() -> UUID:
    """Make a UUID version 7 (RFC 9562 section 5.7), strictly increasing within this process.

    The 12 bits after the millisecond are a counter (method 1 of section 6.2). So rows written in
    one millisecond keep their order. The counter starts low enough to leave room and borrows a
    millisecond if it runs out.
    """
    global _last_ms, _counter
    with _lock:
        now = time.time_ns() // 1_000_000
        if now > _last_ms:
            _last_ms, _counter = now, secrets.randbelow(0x400)
        else:
            _counter += 1
            if _counter > 0xFFF:
                _last_ms, _counter = _last_ms + 1, 0
        ms, count = _last_ms, _counter
    value = (
        (ms & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | count << 64 | 0b10 << 62 | secrets.randbits(62)
    )
    return UUID(int=value)


def opaque(nbytes: int = 16) -> str:
    """Make a random handle of `nbytes` bytes as unpadded base64url.

    It carries no meaning and cannot be guessed.
    """
    return base64.urlsafe_b64encode(secrets.token_bytes(nbytes)).rstrip(b"=").decode()
