"""Renders pages: design-system macros from a lenient environment and our own templates in a strict
one."""

from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, PackageLoader, PrefixLoader, StrictUndefined

from portal.domain import dates, wording

_TEMPLATES: Final = Path(__file__).parent.parent / "templates"
SERVICE_NAME: Final = "Northmoor partnership hub"
"""Neutral on purpose: a title bar must tell an onlooker nothing."""


def environment() -> Environment:
    """The strict environment of our templates.

    An unknown name in a template is an error, never an empty place.
    """
    # The design-system macros read absent keys all over, so they live in a lenient environment of
    # their own.
    lenient = Environment(
        loader=PrefixLoader({"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")}),
        autoescape=True,
    )
    strict = Environment(
        loader=FileSystemLoader(_TEMPLATES),
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
    strict.filters["moment"] = dates.moment
    strict.filters["day"] = dates.day
    strict.filters["time_of_day"] = dates.time_of_day
    for name in ("fact", "sentence", "operation", "outcome", "reason", "kind", "agency"):
        strict.filters[name] = getattr(wording, name)
    return strict
