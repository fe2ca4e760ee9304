"""One port for all services: sends a request to the app mounted at the first part of its path."""

import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from common.telemetry import describe

_log = logging.getLogger("hub.standalone")


class Prefixes:
    """An ASGI app over others. What matches no prefix goes to `default` (the portal).

    Lifespans of mounted apps are not run here: `common.web.service.Service` starts and stops its
    parts itself.
    """

    def __init__(
        self,
        mounted: Mapping[str, ASGIApp],
        default: ASGIApp,
        on_start: Callable[[], Awaitable[None]],
        on_stop: Callable[[], Awaitable[None]],
    ) -> None:
        """`mounted` maps ``/name`` to its app.

        `on_start` and `on_stop` run with the server's lifespan.
        """
        self._mounted = dict(mounted)
        self._default = default
        self._on_start = on_start
        self._on_stop = on_stop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve an ASGI connection."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        app, inside = self._find(scope)
        await app(inside, receive, send)

    def _find(self, scope: Scope) -> tuple[ASGIApp, Scope]:
        path = str(scope["path"])
        prefix = "/" + path.split("/", 2)[1]
        app = self._mounted.get(prefix)
        # RFC 8414 section 3.1: the metadata of an issuer with a path stands at /.well-known/…/path,
        # outside the prefix.
        if app is None and path.startswith("/.well-known/") and path.endswith("/identity"):
            inside = {
                **scope,
                "root_path": "/identity",
                "path": "/identity" + path.removesuffix("/identity"),
            }
            return self._mounted["/identity"], inside
        if app is None:
            return self._default, scope
        return app, {**scope, "root_path": prefix}

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._on_start()
                except BaseException as error:
                    # Said by us: of what the server's own logger says only the place is written, so
                    # the reason would be lost.
                    _log.error("the hub did not start", extra={"error": describe(error)})
                    await send(
                        {"type": "lifespan.startup.failed", "message": "the hub did not start"}
                    )
                    raise
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._on_stop()
                await send({"type": "lifespan.shutdown.complete"})
                return
