"""What a service's own validators say of a request that is not sent: a refusal costs a fiftieth of
one over HTTP, and no other code of the service has seen the request when it is made."""

from collections.abc import Iterator
from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_body_to_args, request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.datastructures import QueryParams

from common.problems import Problem
from common.web.edge import problem_response
from common.web.faults import faults

CORRELATION: Final = "0191d0ba-0000-7000-8000-000000000000"


class Unsent:
    """One route of a service, as FastAPI solves it, without its guards and its function."""

    def __init__(self, app: FastAPI, method: str, path: str) -> None:
        self._route = _route_of(app, method, path)

    async def takes_body(self, body: Any) -> bool:
        """Tell whether the route's function would be given this JSON body; make the refusal if not.

        Raises whatever would have been a 500.
        """
        fields = [field for each in _all(self._route.dependant) for field in each.body_params]
        embed = self._route.original_route._embed_body_fields  # type: ignore[attr-defined]
        _, errors = await request_body_to_args(fields, body, embed)
        return self._taken(errors, body)

    def takes_query(self, query: str) -> bool:
        """Tell the same of a query, its other parameters absent, by the parameters it gives."""
        given = QueryParams(query)
        fields = [
            field
            for each in _all(self._route.dependant)
            for field in each.query_params
            if field.alias in given
        ]
        return self._taken(request_params_to_args(fields, given)[1])

    def takes_path(self, name: str, text: str) -> bool:
        """Tell the same of one parameter of the path, as decoded text."""
        fields = [
            field
            for each in _all(self._route.dependant)
            for field in each.path_params
            if field.alias == name
        ]
        assert fields, "no parameter of this name"
        return self._taken(request_params_to_args(fields, {name: text})[1])

    def _taken(self, errors: list[Any], body: Any = None) -> bool:
        if errors:
            refused = RequestValidationError(errors, body=body)
            problem = Problem("validation-failed", errors=faults(refused.errors(), refused.body))
            status, _, _ = problem_response(problem, CORRELATION)
            assert status == 422
        return not errors


def _all(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for child in dependant.dependencies:
        yield from _all(child)


def _route_of(app: FastAPI, method: str, path: str) -> RouteContext:
    return next(
        route
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, APIRoute)
        and (route.path_format, method in (route.methods or ())) == (path, True)
    )
