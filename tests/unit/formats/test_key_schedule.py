"""Opening keys through the weeks: made a day ahead, used for seven, destroyed 21 after that; and the
book of public keys that senders seal by."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from hubformats.bootstrap import sign_key_set
from hubformats.key_book import KeyBook
from hubformats.key_schedule import Steps, periods_on, steps
from hubformats.keys import (
    KeyRefused,
    OpeningKey,
    generate_opening,
    generate_signing,
    opening_from_jwk,
    recipient_from_jwk,
)
from tests.support.key_directory import POLICE, Area

OWNER = "svc:sharing"
START = datetime(2026, 11, 29, tzinfo=UTC)
DAY = timedelta(days=1)
PERIODS = periods_on(START.date())


class Ring:
    """A keyring and a directory, driven by the steps alone, an hour at a time."""

    def __init__(self) -> None:
        key = generate_opening(OWNER)
        self.held: dict[str, OpeningKey] = {key.kid: key}
        self.published = {key.kid}
        self.destroyed: dict[str, datetime] = {}
        self.made: list[OpeningKey] = [key]
        self.reachable = True

    def due(self, now: datetime) -> Steps:
        return steps(self.held, self.published, created=START, now=now, periods=PERIODS)

    def hour(self, now: datetime) -> None:
        due = self.due(now)
        for kid, begins in due.postpone.items():
            self.held[kid] = replace(self.held[kid], begins=begins)
        if due.make is not None:
            key = replace(generate_opening(OWNER), begins=due.make)
            self.held[key.kid] = key
            self.made.append(key)
        if self.reachable:
            self.published = set(self.held)
        for kid in due.destroy:
            del self.held[kid]
            self.destroyed[kid] = now


def test_the_periods_are_those_of_the_design() -> None:
    assert (PERIODS.used, PERIODS.kept) == (7 * DAY, 21 * DAY)
    assert periods_on(date(2020, 1, 1)) is periods_on(date(2026, 4, 1)), "the first ones reach back"


def test_a_year_of_hours() -> None:
    ring = Ring()
    for hour in range(365 * 24):
        ring.hour(START + timedelta(hours=hour))
    starts = [key.begins or int(START.timestamp()) for key in ring.made]
    weeks = {later - earlier for earlier, later in pairwise(starts)}
    assert weeks == {7 * 86_400}
    assert len(ring.made) == 53
    for key, successor in pairwise(ring.made):
        if key.kid in ring.destroyed:
            retired = datetime.fromtimestamp(successor.begins, UTC)
            assert ring.destroyed[key.kid] == retired + 21 * DAY
    assert len(ring.held) <= 5


def test_a_directory_that_takes_nothing_in_retires_and_destroys_nothing() -> None:
    ring = Ring()
    ring.reachable = False
    for hour in range(60 * 24):
        ring.hour(START + timedelta(hours=hour))
    assert len(ring.made) == 2, "one waits to be published, and begins later each time"
    assert ring.destroyed == {}
    waiting = ring.held[ring.made[1].kid]
    assert waiting.begins >= (START + 60 * DAY).timestamp()
    ring.reachable = True
    for hour in range(60 * 24, 60 * 24 + 21 * 24 + 23):
        ring.hour(START + timedelta(hours=hour))
    assert ring.destroyed == {}, "21 days from the first use of its successor, not from its making"


def test_a_service_that_was_down_for_a_season_destroys_nothing_it_could_still_be_sent() -> None:
    ring = Ring()
    first = ring.made[0].kid
    ring.hour(START)
    ring.hour(START + 100 * DAY)
    assert (len(ring.made), ring.destroyed) == (2, {})
    ring.hour(START + 101 * DAY)
    assert first in ring.held
    ring.hour(START + 122 * DAY)
    assert list(ring.destroyed) == [first]


def test_a_beginning_survives_the_keyring_and_a_wrong_one_is_refused() -> None:
    key = replace(generate_opening(OWNER), begins=1_796_000_000)
    assert opening_from_jwk(key.jwk(private=True), OWNER).begins == 1_796_000_000
    assert recipient_from_jwk(key.public().jwk(), OWNER).begins == 1_796_000_000
    assert "nbf" not in generate_opening(OWNER).public().jwk()
    for wrong in ("1", True, -1, 2**40, None):
        with pytest.raises(KeyRefused):
            recipient_from_jwk({**key.public().jwk(), "nbf": wrong}, OWNER)


class Service:
    """A service of an area whose book a test keeps."""

    def __init__(self) -> None:
        self.area = Area()
        self.book = KeyBook(self.area.bootstrap)
        self.now = self.area.bootstrap.created

    def key(self, days: int) -> OpeningKey:
        begins = int((self.now + days * DAY).timestamp())
        return replace(generate_opening(OWNER), begins=begins)

    def publish(self, issued: int, *keys: OpeningKey) -> dict[str, str]:
        jwks = tuple(key.public().jwk() for key in keys)
        sets = {OWNER: sign_key_set(OWNER, jwks, self.area.service, issued)}
        return dict(self.book.take(sets))

    def recipient(self, days: float) -> str | None:
        found = self.book.recipient(OWNER, self.now + days * DAY)
        return None if found is None else found.kid


def test_senders_change_over_when_the_new_key_begins() -> None:
    service = Service()
    one, two = service.key(0), service.key(7)
    assert service.publish(1, one, two) == {}
    assert (service.recipient(6.9), service.recipient(7)) == (one.kid, two.kid)
    assert service.publish(2, two) == {}
    assert service.publish(1, one, two) == {}, "an older set changes nothing"
    assert service.recipient(8) == two.kid
    assert service.book.opening(OWNER) == {two.kid: two.begins}


def test_only_the_service_itself_vouches_for_its_keys() -> None:
    service = Service()
    forged = sign_key_set(OWNER, (service.key(0).public().jwk(),), generate_signing(OWNER), 9)
    assert service.book.take({OWNER: forged}) == {OWNER: "key-set-root-unknown"}
    assert service.book.take({"svc:nobody": forged}) == {}
    assert service.recipient(1) is None


def test_a_first_key_is_not_trusted_for_ever_without_news() -> None:
    """What is sealed to a destroyed key is lost, so a sender that heard nothing does not seal."""
    area = Area()
    key = generate_opening(OWNER)
    bootstrap = area.bootstrap
    entry = bootstrap.services["sharing"].model_copy(update={"opening": (key.public().jwk(),)})
    book = KeyBook(replace(bootstrap, services={"sharing": entry}))
    young, old = bootstrap.created + 27 * DAY, bootstrap.created + 28 * DAY
    assert book.recipient(OWNER, young) is not None
    assert book.recipient(OWNER, old) is None
    assert book.recipient(POLICE, old) is not None, "an agency's root alone changes its keys"
    book.take({})
    assert book.recipient(OWNER, old) is not None, "the directory answered: it is still the one"
