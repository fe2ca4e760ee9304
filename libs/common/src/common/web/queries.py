"""Refuses undeclared and doubled query parameters. A misspelt `dryRun` must not become a real
submission, nor the last of two references the one that was meant."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from common.problems import Fault, Problem
from common.web.faults import shown


def check_query(request: Request) -> None:
    """Raise Problem `validation-failed` for an undeclared parameter, named if it looks like one. So
    also for one that is given twice and takes one value.
    """
    names = Counter(name for name, _ in request.query_params.multi_items())
    route = request.scope.get("route")
    if not names or not isinstance(route, APIRoute):
        return
    known = dict(_parameters(route.dependant))  # routes cannot be hashed, few have a query
    faults = []
    for name, count in names.items():
        if name not in known:
            faults.append(Fault(f"/{shown(name)}", "is not a known parameter", "query"))
        elif count > 1 and not known[name]:
            faults.append(Fault(f"/{name}", "must be given once", "query"))
    if faults:
        raise Problem("validation-failed", errors=faults[:20])


def _parameters(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    """Yield each declared parameter, and whether it takes many values."""
    for field in dependant.query_params:
        annotation = field.field_info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            for name, part in annotation.model_fields.items():
                yield part.alias or name, _takes_many(part.annotation)
        else:
            yield field.alias, _takes_many(annotation)
    for child in dependant.dependencies:
        yield from _parameters(child)


def _takes_many(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    if origin in {list, tuple, set, frozenset}:
        return True
    # Of a union, such as `list[str] | None`, any member counts
    return any(map(_takes_many, get_args(annotation)))
