"""Ways to sign in keep one promise, the fake's and the real ones': proven in this request, or not."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import pytest

from hubformats.bootstrap import Person
from identity.oauth.ports import Authenticator
from identity.people.repository import DemoClick, NoWayIn
from tests.support.identity_fakes import KnownWords
from tests.support.port_suites import Held

PORTS: Final = (Held(Authenticator, (DemoClick, NoWayIn), KnownWords),)


@dataclass
class Way:
    """A way in, and the forms that prove somebody by it."""

    port: Authenticator
    proving: dict[str, dict[str, str]]


def people() -> dict[str, Person]:
    """Two people."""
    made = [
        Person(id=f"per-{n}", name=f"Somebody {n}", agency="a", roles=("idva",)) for n in (1, 2)
    ]
    return {one.id: one for one in made}


def by_click() -> Way:
    """Whoever is clicked."""
    return Way(DemoClick(people()), {name: {"person": name} for name in people()})


def by_word() -> Way:
    """Whoever says her word."""
    words = {f"word of {name}": person for name, person in people().items()}
    return Way(KnownWords(words), {one.id: {"word": word} for word, one in words.items()})


def not_at_all() -> Way:
    """Nobody."""
    return Way(NoWayIn(), {})


@pytest.fixture(params=[by_click, by_word, not_at_all], ids=lambda made: made.__name__)
def way(request: pytest.FixtureRequest) -> Way:
    """A way of one kind."""
    make: Callable[[], Way] = request.param
    return make()


def test_a_form_proves_the_person_it_names_and_what_it_vouches_for(way: Way) -> None:
    for name, form in way.proving.items():
        found = way.port.check(form)
        assert found is not None
        assert (found.person, found.acr in way.port.acr_values) == (people()[name], True)


@pytest.mark.parametrize("form", [{}, {"person": "per-3"}, {"word": ""}, {"cancel": "1"}])
def test_any_other_form_proves_nobody(way: Way, form: dict[str, str]) -> None:
    assert way.port.check(form) is None


def test_one_sign_in_is_no_part_of_the_next(way: Way) -> None:
    for form in way.proving.values():
        assert way.port.check(form) is not None
        assert way.port.check({}) is None


def test_whoever_is_offered_can_sign_in_and_nobody_where_there_is_no_way(way: Way) -> None:
    assert {one.id for one in way.port.offered()} <= set(way.proving)
    assert bool(way.port.acr_values) == bool(way.proving)
