"""One port for all services: each request reaches its own, and a start that fails is told to the
server."""

from collections.abc import Awaitable, Callable

import httpx2
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from standalone.prefixes import Prefixes

Step = Callable[[], Awaitable[None]]


def named(name: str) -> ASGIApp:
    """An app that answers who it is and what it was told about the path."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        said = f"{name} {scope.get('root_path', '')} {scope['path']}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": said})

    return app


async def nothing() -> None:
    """A step that does nothing."""


def hub(start: Step = nothing, stop: Step = nothing) -> Prefixes:
    mounted = {f"/{name}": named(name) for name in ("referral", "sharing", "audit", "identity")}
    return Prefixes(mounted, named("portal"), start, stop)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/", "portal  /"),
        ("/referral/v1/referrals", "referral /referral /referral/v1/referrals"),
        ("/referral", "referral /referral /referral"),
        ("/audit/log/tile/0/000", "audit /audit /audit/log/tile/0/000"),
        ("/referrals", "portal  /referrals"),
        ("/deliveries/referral/v1", "portal  /deliveries/referral/v1"),
        ("//referral/v1", "portal  //referral/v1"),
        # RFC 8414 section 3.1 puts an issuer's path behind the well-known part.
        (
            "/.well-known/oauth-authorization-server/identity",
            "identity /identity /identity/.well-known/oauth-authorization-server",
        ),
        (
            "/identity/.well-known/openid-configuration",
            "identity /identity /identity/.well-known/openid-configuration",
        ),
        ("/.well-known/security.txt", "portal  /.well-known/security.txt"),
        (
            "/.well-known/oauth-authorization-server/referral",
            "portal  /.well-known/oauth-authorization-server/referral",
        ),
    ],
)
async def test_a_request_reaches_its_own_service(path: str, answer: str) -> None:
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=hub()), base_url="http://hub.example.org"
    ) as http:
        assert (await http.get(f"http://hub.example.org{path}")).text == answer


async def test_the_callers_scope_is_left_as_it_was() -> None:
    """A server may keep its scope for the access log."""
    scope: Scope = {
        "type": "http",
        "path": "/audit/x",
        "root_path": "",
        "method": "GET",
        "headers": [],
    }
    before = dict(scope)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_message: Message) -> None:
        return None

    await hub()(scope, receive, send)
    assert scope == before


async def lifespan(app: Prefixes, *messages: str) -> list[str]:
    """What the app answers to these lifespan messages."""
    waiting = [{"type": message} for message in messages]
    answers: list[str] = []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        answers.append(message["type"])

    try:
        await app({"type": "lifespan"}, receive, send)
    except RuntimeError:
        answers.append("raised")
    return answers


async def test_the_hub_starts_and_stops_with_the_server() -> None:
    steps: list[str] = []

    async def start() -> None:
        steps.append("start")

    async def stop() -> None:
        steps.append("stop")

    answers = await lifespan(hub(start, stop), "lifespan.startup", "lifespan.shutdown")
    assert answers == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert steps == ["start", "stop"]


async def test_a_start_that_fails_is_told_and_never_called_complete() -> None:
    async def start() -> None:
        raise RuntimeError("database")

    assert await lifespan(hub(start), "lifespan.startup") == ["lifespan.startup.failed", "raised"]
