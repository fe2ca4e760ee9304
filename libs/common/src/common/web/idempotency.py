"""Idempotency-Key: a creating POST takes effect once, and a repeat gets the stored answer
(draft-ietf-httpapi-idempotency-key-header-07)."""

import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Annotated, Any, Final, Protocol, TypeVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import Depends, Header, Request
from sqlalchemy import (
    Column,
    Connection,
    Index,
    LargeBinary,
    MetaData,
    Table,
    bindparam,
    delete,
    select,
    update,
)
from starlette.responses import JSONResponse

from common.access import Granted, Principal
from common.attempts import Answer, Attempt
from common.database import Prepared, UtcDateTime
from common.problems import Problem
from common.web.claims import claim
from common.web.edge import inner_path
from common.web.provided import provided
from hubformats.canonical import canonical, parse
from hubformats.clock import Clock

KEEP: Final = timedelta(hours=24)
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{16,64}")
_QUOTED: Final = re.compile(r'"([^"]*)"')
_SWEEP_SECONDS: Final = 300.0


def table(metadata: MetaData) -> Table:
    """Make the table `idempotent_answer(id, request, answer, expires_at)`.

    `answer` is empty only inside the transaction that writes it.
    """
    made = Table(
        "idempotent_answer",
        metadata,
        Column("id", LargeBinary, primary_key=True),
        Column("request", LargeBinary, nullable=False),
        Column("answer", LargeBinary, nullable=True),
        Column("expires_at", UtcDateTime, nullable=False),
    )
    Index(None, made.c.expires_at)
    return made


class Idempotency:
    """Answers by caller and key.

    Answers are stored encrypted, keys and requests only as keyed hashes.
    """

    def __init__(self, answers: Table, secret: bytes, clock: Clock) -> None:
        """`answers` is made by `table`; `secret` is the keyring's "idempotency" (32 bytes)."""
        self._answers = answers
        self._known = Prepared(
            select(answers.c.request, answers.c.answer).where(answers.c.id == bindparam("attempt"))
        )
        self._answered = Prepared(
            update(answers)
            .where(answers.c.id == bindparam("attempt"))
            .values(answer=bindparam("sealed"))
        )
        self._hash_key = hmac.digest(secret, b"hub idempotency hash", "sha256")
        self._cipher = AESGCM(hmac.digest(secret, b"hub idempotency answer", "sha256"))
        self._clock = clock
        self._swept_at = float("-inf")

    def attempt(self, granted: Granted, key: str, request: bytes) -> Attempt:
        """Make the attempt of this caller with this key; `request` is method, route and body."""
        return Attempt(self.name(granted.principal, key), self._mac(b"request", request))

    def name(self, principal: Principal, key: str) -> bytes:
        """Name an attempt of this caller with this key by a keyed hash, also a refused one."""
        caller = f"{principal.issuer}\0{principal.client_id}\0{principal.subject}\0{key}"
        return self._mac(b"id", caller.encode())

    def once(self, connection: Connection, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Return the stored answer, or do `work` and store its answer in the caller's transaction.

        Raises Problem `idempotency-key-reused` or `idempotency-in-flight`, and whatever `work`
        raises. If we crash before the commit, neither effect nor answer exists and the client's
        retry does the work.
        """
        now = self._clock.now()
        self._sweep(connection)
        fresh = {
            "id": attempt.id,
            "request": attempt.request,
            "answer": None,
            "expires_at": now + KEEP,
        }
        if not claim(connection, self._answers, fresh):
            return self._stored(connection, attempt)
        answer = work()
        sealed = self._seal(attempt, answer)
        self._answered.run(connection, {"attempt": attempt.id, "sealed": sealed})
        return answer

    def _stored(self, connection: Connection, attempt: Attempt) -> Answer:
        row = self._known.run(connection, {"attempt": attempt.id}).one_or_none()
        if row is None or row.answer is None:
            raise Problem("idempotency-in-flight", headers={"Retry-After": "1"})
        if not hmac.compare_digest(row.request, attempt.request):
            raise Problem("idempotency-key-reused")
        value = parse(
            self._cipher.decrypt(row.answer[:12], row.answer[12:], attempt.id + attempt.request)
        )
        return Answer(value["status"], json.loads(value["body"]), value["headers"], replayed=True)

    def _seal(self, attempt: Attempt, answer: Answer) -> bytes:
        # The body as text keeps the order of its members, so that the repeat is the first answer
        # byte for byte.
        plain = canonical(
            {
                "status": answer.status,
                "body": json.dumps(dict(answer.body)),
                "headers": dict(answer.headers),
            }
        )
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, plain, attempt.id + attempt.request)

    def _mac(self, label: bytes, value: bytes) -> bytes:
        return hmac.digest(self._hash_key, label + b"\0" + value, sha256)

    def _sweep(self, connection: Connection) -> None:
        now = self._clock.monotonic()
        if now - self._swept_at > _SWEEP_SECONDS:
            self._swept_at = now
            connection.execute(
                delete(self._answers).where(self._answers.c.expires_at < self._clock.now())
            )


def bare(key: str) -> str:
    """Return the key without the quotes of the draft's section 2.1: both spellings are one key."""
    quoted = _QUOTED.fullmatch(key)
    return key if quoted is None else quoted[1]


@dataclass(frozen=True, slots=True)
class KeyDemand:
    """The dependency behind `required`; the OpenAPI document recognises it."""

    async def __call__(
        self,
        request: Request,
        store: Annotated[Idempotency, Depends(provided(Idempotency))],
        idempotency_key: Annotated[
            str | None,
            Header(
                description="16 to 64 letters, digits, - or _, bare or in quotes; new for each "
                "new thing"
            ),
        ] = None,
    ) -> Attempt:
        """Read the key and make the attempt.

        Raises Problem. Runs after the route's guard, which must come first in the signature.
        """
        key = bare(idempotency_key or "")
        if len(request.headers.getlist("idempotency-key")) != 1 or not _KEY.fullmatch(key):
            raise Problem("idempotency-key-missing")
        granted: Granted = request.state.granted
        # The path itself, not its template: the same words about another case are another request.
        asked = (
            f"{request.method}\0{inner_path(request.scope)}\0{request.url.query}\0".encode()
            + await request.body()
        )
        return store.attempt(granted, key, asked)


def required() -> Any:
    """Return the dependency of a creating POST: ``attempt: Annotated[Attempt, required()]``."""
    return Depends(KeyDemand())


class Repeatable(Protocol):
    """A unit of work that does a thing once per attempt, such as a service's transaction."""

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Return the stored answer, or that of `work`, stored together with its effect."""
        ...


Tx = TypeVar("Tx", bound=Repeatable)


async def idempotent(
    write: Callable[[Callable[[Tx], Answer]], Awaitable[Answer]],
    attempt: Attempt,
    work: Callable[[Tx], Answer],
    *,
    again: Callable[[Tx, Answer], object] | None = None,
) -> JSONResponse:
    """Do `work` once per attempt, in one transaction of `write`, and answer.

    A repeat gets the stored answer; `again` records it in the same transaction. Raises what `work`
    and `again` raise, and Problem `idempotency-key-reused` or `idempotency-in-flight`.
    """

    def run(tx: Tx) -> Answer:
        answer = tx.once(attempt, lambda: work(tx))
        if answer.replayed and again is not None:
            again(tx, answer)
        return answer

    return respond(await write(run))


def respond(answer: Answer) -> JSONResponse:
    """Turn the answer into a response; a repeat says so."""
    marks = {"Idempotency-Replayed": "true"} if answer.replayed else {}
    return JSONResponse(dict(answer.body), answer.status, headers={**answer.headers, **marks})
