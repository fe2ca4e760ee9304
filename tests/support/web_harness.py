"""A small service on real plumbing: SQLite, replay table, issuer with real keys behind an HTTP
transport, manual clock."""

import json as jsonlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import httpx2
from fastapi import APIRouter, Depends, Response

from common.access import Granted, Permission, Refusal
from common.attempts import Answer, Attempt
from common.database import Database, Unit, ensure_schema, new_metadata
from common.directory import DirectoryState
from common.events.identity import DirectoryHeartbeat
from common.models import ApiModel, Timestamp, WholeNumber
from common.problems import Problem, define
from common.settings import Settings
from common.testing import ManualClock
from common.web import etags, idempotency, paging, replay
from common.web.app import Api, HubApp, create_app
from common.web.guard import Guards
from common.web.idempotency import Idempotency, idempotent
from common.web.provided import provided
from common.web.rates import Policy, Rates, urgent_when
from common.web.runtime import Runtime
from common.web.verifier import access_for
from hubformats.canonical import b64u, canonical
from hubformats.dpop import make_proof
from hubformats.ids import opaque
from hubformats.keys import SigningKey, generate_signing
from tests.support.modes import STANDALONE, Mode

ISSUER = "http://127.0.0.1:8104"
SERVICE = "http://127.0.0.1:8101"
AGENCY = "northmoor-police"
MARKER = "Zebedee-Quill"  # what a caller types and must never see again

T = TypeVar("T")
router = APIRouter(prefix="/v1/things", tags=["things"])
ACTIONS: Final = {
    "make_thing": Permission("referral.write", "collection"),
    "change_thing": Permission("referral.write", "collection"),
    "read_things": Permission("referral.read", "consultation"),
    "read_address": Permission(
        "contact.read", "consultation", person=True, step_up=timedelta(minutes=5)
    ),
}
guard = Guards(ACTIONS)
Write = Annotated[Granted, guard.action("change_thing")]
Read = Annotated[Granted, guard.action("read_things")]
Make = Annotated[Granted, guard.action("make_thing", rate=urgent_when("form", "urgent"))]
CursorsDep = Annotated[paging.Cursors, Depends(provided(paging.Cursors))]

define("test-thing-gone", 410, "This thing is gone", "Make another one.")


class ThingGone(Exception):
    """A domain error: it holds what it found, and nobody outside may read that."""


class ThingBurnt(ThingGone):
    """A domain error answered like the one above it."""


class ThingUnknown(Exception):
    """A domain error that nobody mapped."""


def gone(_error: ThingGone) -> Problem:
    """Make the problem of a thing that is gone."""
    return Problem("test-thing-gone")


class Person(ApiModel):
    """One person of a thing."""

    family_name: str
    age: WholeNumber | None = None


class ThingIn(ApiModel):
    """What is sent."""

    people: list[Person]
    seen_at: Timestamp | None = None
    form: str = "full"


class ThingOut(ApiModel):
    """What is answered."""

    id: str
    count: int


class HarnessTx:
    """The harness's transaction: a unit of work that knows attempts."""

    def __init__(self, unit: Unit, answers: Idempotency) -> None:
        self._unit, self._answers = unit, answers

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Return the stored answer, or that of `work`."""
        return self._answers.once(self._unit.connection, attempt, work)


class Effects:
    """What the harness's service did, and for whom."""

    def __init__(self, database: Database, answers: Idempotency) -> None:
        self.done: list[str] = []
        self.repeated: list[str] = []
        self._database, self._answers = database, answers

    async def write(self, work: Callable[[HarnessTx], T]) -> T:
        """Run `work` in one transaction."""
        return await self._database.write(lambda unit: work(HarnessTx(unit, self._answers)))


EffectsDep = Annotated[Effects, Depends(provided(Effects))]


@router.post("", status_code=201, summary="Make a thing", response_model=ThingOut)
async def make_thing(
    body: ThingIn,
    granted: Make,
    attempt: Annotated[Attempt, idempotency.required()],
    effects: EffectsDep,
    dry_run: bool = False,
) -> Response:
    """Makes a thing, once."""
    who = granted.principal.client_id

    def work(_tx: HarnessTx) -> Answer:
        effects.done.append(who)
        made = {"id": opaque(), "count": len(body.people)}
        return Answer(201, made, {"Location": "/v1/things/1"})

    return await idempotent(
        effects.write, attempt, work, again=lambda _tx, _answer: effects.repeated.append(who)
    )


@router.get("", summary="List things")
async def list_things(
    granted: Read, cursors: CursorsDep, cursor: paging.CursorText = None, limit: paging.Limit = 2
) -> paging.Page[ThingOut]:
    """Lists things."""
    place = cursors.read("things", cursor, granted)
    start = int(place[0]) if place else 0
    items = [ThingOut(id=str(number), count=0) for number in range(start, min(start + limit, 5))]
    return paging.Page(
        items=items,
        next_cursor=cursors.make("things", [start + limit], granted) if start + limit < 5 else None,
    )


@router.put("/{thing_id}", summary="Change a thing")
async def change_thing(thing_id: int, granted: Write) -> ThingOut:
    """Changes a thing."""
    return ThingOut(id=str(thing_id), count=1)


_FAULTS: Final[dict[int, type[Exception]]] = {
    13: RuntimeError,
    14: ThingGone,
    15: ThingBurnt,
    16: ThingUnknown,
}


@router.get("/{thing_id}", summary="Read a thing")
async def read_thing(thing_id: int, granted: Read, response: Response) -> ThingOut:
    """Reads a thing."""
    if thing_id in _FAULTS:
        raise _FAULTS[thing_id](f"nobody may read this text: {MARKER}")
    response.headers["ETag"] = etags.etag("thing", thing_id, 7)
    return ThingOut(id=str(thing_id), count=1)


@router.get("/{thing_id}/address", summary="Read a shielded part")
async def read_address(
    thing_id: int, granted: Annotated[Granted, guard.action("read_address")]
) -> ThingOut:
    """Reads a shielded part."""
    return ThingOut(id=str(thing_id), count=1)


class Harness:
    """The service, its callers' keys, and everything it reported."""

    def __init__(self, folder: Path, mode: Mode = STANDALONE) -> None:
        self.clock = ManualClock()
        self.issuer_key = generate_signing("svc:identity")
        self.client_key = generate_signing("client")
        self.published = [self.issuer_key]
        self.fetches: list[str] = []
        self.issuer_up = True
        self.refusals: list[Refusal] = []
        self.settings = Settings(
            service_url=SERVICE,
            issuer=ISSUER,
            database_url=mode.url(folder / "harness.db"),
            keyring_dir=folder,
            bootstrap_file=folder,
            data_dir=folder,
        )
        self.database = Database(self.settings.database_url, clock=self.clock, name="harness")
        self.metadata = new_metadata()
        self.answers, self.proofs = idempotency.table(self.metadata), replay.table(self.metadata)
        self.idempotency = Idempotency(self.answers, b"i" * 32, self.clock)
        self.work = Effects(self.database, self.idempotency)
        self.directory = DirectoryState(self.clock)
        self.issuer_http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._issuer))
        self.app = self.build()

    def build(self, *, base: str = SERVICE, rates: Rates | None = None) -> HubApp:
        """A fresh app on the same database: what a restart gives."""
        guard_ = replay.SqlReplayGuard(self.database, self.proofs, self.clock)
        settings = self.settings.with_(service_url=base)
        access = access_for(
            settings,
            http=self.issuer_http,
            clock=self.clock,
            directory=self.directory,
            replay=guard_,
        )
        return create_app(
            Api("harness", "Harness", "A service for tests.", [router], tags={"things": "Things."}),
            Runtime(settings, access, self.clock, on_refusal=self._refused, rates=rates or Rates()),
            provides={
                Effects: self.work,
                Idempotency: self.idempotency,
                paging.Cursors: paging.Cursors(b"c" * 32),
            },
            answers={ThingGone: gone},
        )

    @property
    def effects(self) -> list[str]:
        """Callers for whom a thing was made, in order."""
        return self.work.done

    async def _refused(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def _issuer(self, request: httpx2.Request) -> httpx2.Response:
        self.fetches.append(request.url.path)
        if not self.issuer_up:
            raise httpx2.ConnectError("down")
        if request.url.path == "/.well-known/oauth-authorization-server":
            return httpx2.Response(
                200,
                json={
                    "issuer": ISSUER,
                    "jwks_uri": f"{ISSUER}/jwks",
                    "token_endpoint": f"{ISSUER}/token",
                },
            )
        if request.url.path == "/jwks":
            return httpx2.Response(200, json={"keys": [key.jwk() for key in self.published]})
        return httpx2.Response(404)

    def beat(self, *suspended: str, epoch: int = 1) -> None:
        """A heartbeat of identity, now."""
        self.directory.apply(
            DirectoryHeartbeat(at=self.clock.now(), state_epoch=epoch, suspended=suspended)
        )

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Claims of a good token; a change to None removes the claim."""
        now = int(self.clock.now().timestamp())
        good = {
            "iss": ISSUER,
            "sub": "police-rms",
            "aud": SERVICE,
            "client_id": "police-rms",
            "agency": AGENCY,
            "roles": ["system"],
            "scope": "referral.write referral.read agency.manage",
            "cnf": {"jkt": self.client_key.kid},
            "jti": opaque(),
            "iat": now,
            "exp": now + 300,
        }
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(
        self,
        *,
        key: SigningKey | None = None,
        head: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A token, good unless told otherwise."""
        signer = key or self.issuer_key
        header = {"alg": "ES256", "typ": "at+jwt", "kid": signer.kid, **(head or {})}
        signed = f"{b64u(canonical(header))}.{b64u(canonical(self.claims(**changes)))}"
        return f"{signed}.{b64u(signer.sign(signed.encode()))}"

    def headers(
        self, method: str, path: str, token: str | None = None, *, base: str = SERVICE
    ) -> dict[str, str]:
        """Authorization and a fresh proof."""
        token = self.token() if token is None else token
        proof = make_proof(self.client_key, method, base + path, at=self.clock.now(), token=token)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> httpx2.Response:
        """One request by an authenticated caller; `headers` add or replace."""
        given = {**self.headers(method, path.split("?", maxsplit=1)[0], token), **(headers or {})}
        return await self.raw(method, path, headers=given, **more)

    async def raw(self, method: str, path: str, **more: Any) -> httpx2.Response:
        """One request as given."""
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(self.app), base_url=SERVICE
        ) as client:
            return await client.request(method, path, **more)

    async def make(self, key: str = "k" * 20, body: Any = None, **more: Any) -> httpx2.Response:
        """POST a good thing."""
        return await self.call(
            "POST",
            "/v1/things",
            json=body or {"people": [{"familyName": "Quill"}]},
            headers={"Idempotency-Key": key},
            **more,
        )


@asynccontextmanager
async def running(folder: Path, mode: Mode = STANDALONE) -> AsyncIterator[Harness]:
    """A harness with its database and a fresh directory."""
    harness = Harness(folder, mode)
    await harness.database.start()
    try:
        await ensure_schema(harness.database, harness.metadata)
        harness.beat()
        yield harness
    finally:
        await harness.database.stop()
        await harness.issuer_http.aclose()


def problem(answer: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The body of a problem that is one, has every member, and repeats nothing."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    body: dict[str, Any] = jsonlib.loads(answer.text)
    assert body["code"] == code
    assert body["status"] == status
    assert body["correlationId"] == answer.headers["x-correlation-id"]
    assert {"type", "title", "detail", "instance"} <= body.keys()
    assert MARKER not in answer.text
    return body


def small_rates() -> Rates:
    """Two requests a minute for a caller, three for its agency, and as much again for what is
    urgent.
    """
    return Rates({"default": Policy(2, 60, 3), "urgent": Policy(2, 60, 3)})
