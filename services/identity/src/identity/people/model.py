"""A person's sign-in while it waits, and who may sign in."""

from dataclasses import dataclass
from datetime import datetime

from hubformats.bootstrap import Person


class SignInGone(Exception):
    """The pushed request is unknown, expired, completed or another client's.

    There is nowhere safe to redirect to.
    """


class SignInRefused(Exception):
    """This sign-in method is not offered here, or the person does not exist."""


class PersonUnknown(LookupError):
    """The token's subject is nobody of this hub."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sign-in waiting for its person."""

    handle: str
    client_id: str
    return_to: str


def mandate_holds(person: Person, today: datetime) -> bool:
    """Tell whether a person with a dated mandate is inside its days; others need none."""
    return person.mandate is None or person.mandate.begins <= today.date() <= person.mandate.ends
