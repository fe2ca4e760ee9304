"""Renders pages: design-system macros from a lenient environment, our own templates in a strict one, dates as people read them."""

from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, PackageLoader, PrefixLoader, StrictUndefined

_HERE: Final = Path(__file__).parent
_LONDON: Final = ZoneInfo("Europe/London")
SERVICE_NAME: Final = "Northmoor partnership hub"
"""Neutral on purpose: a title bar must tell an onlooker nothing."""


def environment() -> Environment:
    """The strict environment of our templates. An unknown name in a template is an error, never an empty place."""
    # The design-system macros read absent keys all over, so they live in a lenient environment of their own.
    lenient = Environment(loader=PrefixLoader({"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")}), autoescape=True)
    strict = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for component in (files("govuk_frontend_jinja") / "templates" / "components").iterdir():
        macro = "govuk" + "".join(part.capitalize() for part in component.name.split("-"))
        module = lenient.get_template(f"govuk_frontend_jinja/components/{component.name}/macro.html").module
        strict.globals[macro] = getattr(module, macro)
    strict.globals["service_name"] = SERVICE_NAME
    strict.filters["moment"] = moment
    strict.filters["plain"] = plain
    return strict


def moment(value: str | datetime) -> str:
    """A UTC moment as "21 November 2026 at 2:05am", in London time."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    local = at.astimezone(_LONDON)
    hour = local.hour % 12 or 12
    minutes = f":{local.minute:02}" if local.minute else ""
    return f"{local.day} {local:%B} {local.year} at {hour}{minutes}{'am' if local.hour < 12 else 'pm'}"


def plain(value: Any) -> str:
    """A fact's value as text."""
    if isinstance(value, list):
        return ", ".join(plain(one) for one in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return text.replace("_", " ") if text.isascii() and text.replace("_", "").isalpha() and text.islower() else text
