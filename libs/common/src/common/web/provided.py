"""Gives routes the objects of their service by type, without a name on the app's state."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi import Request

Thing = TypeVar("Thing")


class Provisions:
    """The objects given to `create_app`, each under the class or Protocol that routes ask for."""

    def __init__(self, things: Mapping[type[Any], object]) -> None:
        """Take the objects. Raises TypeError for one that is not of the class it stands under."""
        for kind, thing in things.items():
            # isinstance knows no Protocol without the mark; mypy has compared those already.
            if not getattr(kind, "_is_protocol", False) and not isinstance(thing, kind):
                raise TypeError(f"{type(thing).__name__} is provided as {kind.__name__}")
        self._things: Mapping[Any, Any] = dict(things)

    def __contains__(self, kind: object) -> bool:
        """Tell whether somebody provided this type."""
        return kind in self._things

    def get(self, kind: Callable[..., Thing]) -> Thing:
        """Return the object of this type. Raises KeyError if nobody provided it."""
        found: Thing = self._things[kind]
        return found


@dataclass(frozen=True, slots=True)
class Provided(Generic[Thing]):
    """The dependency behind `provided`; `create_app` recognises it and demands its type."""

    kind: Callable[..., Thing]

    async def __call__(self, request: Request) -> Thing:
        """Return the object of this type that the request's app was given."""
        return take(request, self.kind)


def provided(kind: Callable[..., Thing]) -> Callable[[Request], Awaitable[Thing]]:
    """Make the dependency: ``Annotated[Store, Depends(provided(Store))]``, also for Protocols.

    An app with a route that asks for a type nobody provides does not start.
    """
    return Provided(kind)


def gathered(kind: Callable[..., Thing]) -> Callable[..., Awaitable[Thing]]:
    """Make the dependency on a class whose fields are dependencies, asked for in one parameter.

    FastAPI builds a bare class in a worker thread, which costs a request more than the class does.
    """

    async def gather(**parts: Any) -> Thing:
        return kind(**parts)

    gather.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]
    return gather


def take(request: Request, kind: Callable[..., Thing]) -> Thing:
    """Return an object where no dependency can stand: in an error page.

    Raises KeyError if nobody provided it.
    """
    provisions: Provisions = request.app.provisions
    return provisions.get(kind)
