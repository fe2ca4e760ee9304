"""Renders pages: our templates in a strict environment, design-system macros in a lenient one."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from jinja2 import (
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
)
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, RedirectResponse

from common.web.provided import provided
from hubformats import dates, wording
from hubformats.visible_text import visible
from portal.context import Context
from portal.shell.model import IDLE, Session

_PORTAL: Final = Path(__file__).parents[2]
STATIC: Final = _PORTAL / "static"
SERVICE_NAME: Final = "Northmoor partnership hub"
"""Neutral on purpose: a title bar must tell an onlooker nothing."""
_FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "moment": dates.moment,
    "day": dates.day,
    "time_of_day": dates.time_of_day,
    "fact": wording.fact,
    "sentence": wording.sentence,
    "kind": wording.kind,
    "agency": wording.agency,
}


def environment(filters: Mapping[str, Callable[..., str]]) -> Environment:
    """Make the strict environment of our templates, with further filters of the folders.

    A template is named by its folder: "work/delivery.html". An unknown name in a template is an
    error, never an empty place. Portals of one process share it, and what it has compiled.
    """
    return _environment(tuple(sorted(filters.items())))


@cache
def _environment(filters: tuple[tuple[str, Callable[..., str]], ...]) -> Environment:
    # The design-system macros read absent keys all over, so they live in a lenient environment of
    # their own.
    lenient = Environment(
        loader=PrefixLoader({"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")}),
        autoescape=True,
    )
    strict = Environment(
        loader=PrefixLoader(
            {place.parent.name: FileSystemLoader(place) for place in _PORTAL.glob("*/templates")}
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for component in (files("govuk_frontend_jinja") / "templates" / "components").iterdir():
        macro = "govuk" + "".join(part.capitalize() for part in component.name.split("-"))
        module = lenient.get_template(
            f"govuk_frontend_jinja/components/{component.name}/macro.html"
        ).module
        strict.globals[macro] = getattr(module, macro)
    strict.globals["service_name"] = SERVICE_NAME
    strict.globals["isolated"] = isolated
    strict.filters.update({**_FILTERS, **dict(filters)})
    return strict


def assets_version() -> str:
    """Name the static files as they are now: other bytes have another path."""
    served = sorted(path for folder in ("vendor", "own") for path in (STATIC / folder).iterdir())
    return hashlib.sha256(b"".join(path.read_bytes() for path in served)).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Pages:
    """The templates, and what every page needs."""

    templates: Environment
    context: Context
    assets_version: str

    def show(
        self, request: Request, template: str, status: int = 200, **facts: Any
    ) -> HTMLResponse:
        """Render a page for whoever the guard found, or for nobody."""
        session: Session | None = getattr(request.state, "visit", None)
        shared = {
            "person": None if session is None else session.person,
            "csrf": "" if session is None else session.csrf,
            "agency": "" if session is None else self._agency(session.person.agency),
            "demo": self.context.demo,
            "idle_minutes": int(IDLE.total_seconds() // 60),
            "now": self.context.clock.now(),
            "here": request.url.path,
            "assets": self.assets_version,
        }
        page = self.templates.get_template(template).render(**shared, **facts)
        # Last of all, so that nothing a template or a macro puts together is left out.
        return HTMLResponse(visible(page, lines=True, named=None), status)

    def _agency(self, agency: str) -> str:
        return self.context.agencies.get(agency) or wording.sentence(agency)


PagesDep = Annotated[Pages, Depends(provided(Pages))]


@dataclass(frozen=True, slots=True)
class Show:
    """Renders pages in answer to one request."""

    pages: Pages
    request: Request

    def __call__(self, template: str, status: int = 200, **facts: Any) -> HTMLResponse:
        """Render a page with what every page needs."""
        return self.pages.show(self.request, template, status, **facts)


async def _show(request: Request, pages: PagesDep) -> Show:
    return Show(pages, request)


ShowDep = Annotated[Show, Depends(_show)]


def errors_shown(wrong: Mapping[str, str], first: str) -> dict[str, Any]:
    """Make the error summary, and the error of each field, of what is wrong by field.

    What is wrong with no field in particular leads to the `first` one.
    """
    return {
        "summary": [{"text": text, "href": f"#{name or first}"} for name, text in wrong.items()],
        "errors": {name: {"text": text} for name, text in wrong.items() if name},
    }


def isolated(sentence: str, *values: str) -> Markup:
    """Put what people wrote into a sentence of ours for a macro's html: escaped, each isolated.

    Each {} of the sentence takes one value. Nothing in it turns the words beside it round.
    """
    return escape(sentence).format(*(Markup("<bdi>{}</bdi>").format(value) for value in values))


def see_other(place: str) -> RedirectResponse:
    """Post, redirect, get: 303, never 307."""
    return RedirectResponse(place, 303)
