"""Liveness, readiness and metrics of a service: open to its network, and silent about data."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from common import telemetry
from common.web import guard

_NOT_READY: dict[str, Any] = {
    "description": "Not ready; names the failing parts",
    "content": {"application/json": {"schema": {"type": "object"}}},
}
_OPEN = guard.anyone("health and counts: no personal data, no labels that name a person or agency")


def router(app: Any, checks: Mapping[str, Callable[[], bool | Awaitable[bool]]]) -> APIRouter:
    """Serve /healthz, /readyz and /metrics. A failing check is named, never quoted."""
    made = APIRouter(tags=["service"], dependencies=[_OPEN])

    @made.get("/healthz", summary="Alive?")
    async def healthz() -> dict[str, str]:
        """Answers as long as the process serves requests."""
        return {"status": "ok"}

    @made.get("/readyz", summary="Ready to work?", responses={503: _NOT_READY})
    async def readyz() -> Response:
        """Answers 200 when every part the service needs works and it is not paused, else 503."""
        results = {name: await _passes(check) for name, check in checks.items()}
        results |= {"started": app.ready, "running": not app.paused}
        fine = all(results.values())
        told = {"status": "ready" if fine else "not ready", "checks": results}
        return JSONResponse(told, 200 if fine else 503)

    @made.get(
        "/metrics",
        summary="Metrics in Prometheus text form",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )
    async def metrics() -> Response:
        """Counts and durations of the process, by route template and status only."""
        body, media_type = telemetry.prometheus()
        return Response(body, media_type=media_type)

    return made


async def _passes(check: Callable[[], bool | Awaitable[bool]]) -> bool:
    try:
        outcome = check()
        return bool(await outcome if inspect.isawaitable(outcome) else outcome)
    except Exception:  # noqa: BLE001 - a check that cannot answer has not passed
        return False
