"""Ways to sign in: the demo's click on a person, and none at all."""

from collections.abc import Mapping

from hubformats.bootstrap import Person
from identity.oauth.model import ACR_DEMO, Authenticated


class DemoClick:
    """Fulfils `oauth.ports.Authenticator` by a click on a name, which proves nothing."""

    acr_values = frozenset({ACR_DEMO})

    def __init__(self, people: Mapping[str, Person]) -> None:
        self._people = people

    def offered(self) -> tuple[Person, ...]:
        """List everybody, by agency and name."""
        return tuple(sorted(self._people.values(), key=lambda one: (one.agency, one.name)))

    def check(self, form: Mapping[str, str]) -> Authenticated | None:
        """Take whoever was clicked in this very request."""
        person = self._people.get(form.get("person", ""))
        return None if person is None else Authenticated(person, ACR_DEMO)


class NoWayIn:
    """Fulfils `oauth.ports.Authenticator` where no way to sign in is set up."""

    acr_values = frozenset[str]()

    def offered(self) -> tuple[Person, ...]:
        """Offer nobody."""
        return ()

    def check(self, form: Mapping[str, str]) -> Authenticated | None:
        """Find nobody, whatever `form` says."""
        del form
        return None
