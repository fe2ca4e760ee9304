"""Refuses undeclared query parameters: a misspelt `dryRun` must not become a real submission."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from common.problems import Fault, Problem
from common.web.faults import shown


def check_query(request: Request) -> None:
    """Raise Problem `validation-failed` for an undeclared parameter, named if it looks like one."""
    names = [name for name, _ in request.query_params.multi_items()]
    route = request.scope.get("route")
    if not names or not isinstance(route, APIRoute):
        return
    known = frozenset(_names(route.dependant))  # routes cannot be hashed, few have a query
    faults = [
        Fault(f"/{shown(name)}", "is not a known parameter", "query")
        for name in names
        if name not in known
    ]
    if faults:
        raise Problem("validation-failed", errors=faults[:20])


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from (part.alias or name for name, part in annotation.model_fields.items())
        else:
            yield field.alias
    for child in dependant.dependencies:
        yield from _names(child)
