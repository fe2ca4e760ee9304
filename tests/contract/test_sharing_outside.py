"""What sharing asks of others keeps its promises, in memory and for real: the directory, and the
agreement."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import cedarpy
import pytest

from common.directory import DirectoryState
from common.events.case import CaseSnapshot
from common.events.identity import AgencySuspended, DirectoryHeartbeat, KeyRetired
from common.testing import ManualClock
from hubformats.keys import generate_opening
from sharing.agreements.model import RULE_FAILED, Question
from sharing.agreements.ports import Rules
from sharing.agreements.repository import CedarRules, read_bundle
from sharing.content.model.reader import SnapshotReader
from sharing.decisions.model import due, questions
from sharing.directory.client import HubDirectory
from sharing.directory.model import Agency, Compromise
from sharing.directory.ports import Directory, KeysUnreachable
from tests.support import key_directory
from tests.support.key_directory import POLICE
from tests.support.port_suites import Held
from tests.support.sharing_harness import TYPES, Parties
from tests.support.sharing_outside_fakes import FakeRules, northmoor
from tests.support.snapshots import VICTIM, marking, snapshot, urgent

PORTS: Final = (
    Held(Directory, (HubDirectory,), Parties),
    Held(Rules, (CedarRules,), FakeRules),
)


# the directory


@dataclass
class Area:
    """A directory, and what may happen to the police and to identity."""

    directory: Directory
    opening: str
    """The key that is sealed to."""
    signing: str
    suspend: Callable[[], None]
    grow_old: Callable[[], None]
    new_key: Callable[[], str]
    """The police make a new key to be sealed to; its id."""
    unreachable: Callable[[], None]
    steal: Callable[[datetime], None]
    """Somebody else may have the police's signing key since then."""


def _in_memory() -> Area:
    parties = Parties()

    def new_key() -> str:
        made = parties.opening[POLICE] = generate_opening(POLICE)
        return made.kid

    return Area(
        parties,
        parties.opening[POLICE].kid,
        parties.signing[POLICE].kid,
        lambda: parties.suspended.add(POLICE),
        lambda: setattr(parties, "is_fresh", False),
        new_key,
        lambda: setattr(parties, "away", True),
        lambda since: setattr(
            parties, "stolen", (Compromise(POLICE, parties.signing[POLICE].kid, since),)
        ),
    )


def _following_identity() -> Area:
    hub, state = key_directory.Directory(), DirectoryState(ManualClock())
    clock, area = state._clock, hub.area
    assert isinstance(clock, ManualClock)
    state.apply(DirectoryHeartbeat(at=clock.now(), state_epoch=1, suspended=()))

    def new_key() -> str:
        made = generate_opening(POLICE)
        hub.served = {"keySets": {POLICE: area.key_set(200, area.first, made)}}
        return made.kid

    return Area(
        HubDirectory(area.bootstrap, state, hub.keys),
        area.opening.kid,
        area.first.kid,
        lambda: state.apply(
            AgencySuspended(agency=POLICE, reason_code="exercise", state_epoch=2, at=clock.now())
        ),
        lambda: clock.advance(61),
        new_key,
        lambda: setattr(hub, "away", True),
        lambda since: hub.keys.apply(
            KeyRetired(owner=POLICE, kid=area.first.kid, at=since, compromised=True)
        ),
    )


@pytest.fixture(params=[_in_memory, _following_identity], ids=["fake", "hub"])
def area(request: pytest.FixtureRequest) -> Area:
    """The directory of one kind."""
    make: Callable[[], Area] = request.param
    return make()


def test_agencies_are_listed_with_their_state_of_the_moment(area: Area) -> None:
    def police() -> Agency:
        return next(each for each in area.directory.agencies() if each.id == POLICE)

    assert police() == Agency(POLICE, "police", "northmoor", suspended=False)
    area.suspend()
    assert police() == Agency(POLICE, "police", "northmoor", suspended=True)


def test_a_copy_that_grew_old_is_not_to_be_relied_on(area: Area) -> None:
    assert area.directory.fresh()
    area.grow_old()
    assert not area.directory.fresh()
    assert area.directory.agencies(), "it still answers"


async def test_keys_are_found_by_id_and_a_new_one_once_it_was_asked_for(area: Area) -> None:
    assert area.directory.sealing_key(POLICE) == area.opening
    assert area.directory.sealing_key("nobody") is None
    wanted = area.new_key()
    await area.directory.refresh()
    assert area.directory.sealing_key(POLICE) == wanted
    found = area.directory.verification(area.signing)  # counts once identity was heard
    assert found is not None
    assert (found.kid, found.owner) == (area.signing, POLICE)
    assert area.directory.verification("unheard-of") is None


def test_a_key_that_somebody_else_may_have_is_named_with_the_earliest_moment(area: Area) -> None:
    assert area.directory.compromised() == ()
    first = datetime(2026, 11, 28, 21, 30, tzinfo=UTC)
    for since in (first, first - timedelta(hours=1)):
        area.steal(since)
        assert area.directory.compromised() == (Compromise(POLICE, area.signing, since),)


async def test_keys_that_cannot_be_asked_for_are_said_to_be_out_of_reach(area: Area) -> None:
    area.unreachable()
    with pytest.raises(KeysUnreachable) as away:
        await area.directory.refresh()
    assert away.value.retry_after > 0
    assert area.directory.sealing_key(POLICE) == area.opening, "what we have stays"


# the agreement

AGENCIES: Final = tuple(Agency(name, kind, "northmoor") for name, kind in TYPES.items())
CASES: Final = {
    "full": snapshot(),
    "urgent": urgent(),
    "no agreement to support": snapshot(
        consent=snapshot().consent.model_copy(update={"agrees_to_support": "no"})
    ),
    "standard risk": snapshot(risk=snapshot().risk.model_copy(update={"level": "standard"})),
    "third party": snapshot(referrer_agency="northmoor-idva"),
    "vetoes": snapshot(
        markings=(
            marking("must_not_disclose", 1, agency="northmoor-idva", category="victim_phone"),
            marking("location_shield", 2, subject=VICTIM),
            marking("conflict", 3, agency="northmoor-social-care"),
        )
    ),
}


@dataclass
class Loaded:
    """An agreement, and how to break its evaluation."""

    rules: Rules
    break_it: Callable[[], None]


@pytest.fixture(params=["fake", "cedar"])
def loaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """The same agreement in one place or the other."""
    if request.param == "fake":
        fake = FakeRules(northmoor())
        return Loaded(fake, lambda: setattr(fake, "broken", True))

    evaluate = cedarpy.is_authorized_batch

    def broken(requests: list[dict[str, Any]], *rest: Any) -> Any:
        return evaluate([{**each, "context": {}} for each in requests], *rest)

    return Loaded(
        CedarRules(read_bundle("northmoor")),
        lambda: monkeypatch.setattr(cedarpy, "is_authorized_batch", broken),
    )


def asked_about(rules: Rules, case: CaseSnapshot) -> tuple[Question, ...]:
    """Everything that deciding asks of a case."""
    return tuple(questions(SnapshotReader(case), due(case, rules.agreement, AGENCIES)))


@pytest.mark.parametrize("name", CASES)
def test_every_question_is_answered_in_order(loaded: Loaded, name: str) -> None:
    case = CASES[name]
    asked = asked_about(loaded.rules, case)
    together = loaded.rules.rule(case, asked, AGENCIES)
    alone = [loaded.rules.rule(case, [question], AGENCIES)[0] for question in asked]
    assert list(together) == alone
    backwards = loaded.rules.rule(case, asked[::-1], AGENCIES)
    assert backwards == together[::-1]


@pytest.mark.parametrize("name", CASES)
def test_the_fake_rules_as_the_agreement_does(name: str) -> None:
    case, real = CASES[name], CedarRules(read_bundle("northmoor"))
    asked = asked_about(real, case)
    assert FakeRules(northmoor()).rule(case, asked, AGENCIES) == real.rule(case, asked, AGENCIES)
    assert asked


def test_a_permission_names_clauses_that_serve_and_carry_it(loaded: Loaded) -> None:
    case = CASES["full"]
    asked = asked_about(loaded.rules, case)
    ruled = list(zip(asked, loaded.rules.rule(case, asked, AGENCIES), strict=True))
    permitted = [(question, ruling) for question, ruling in ruled if ruling.permitted]
    assert permitted
    for question, ruling in permitted:
        for name in ruling.reasons:
            clause = loaded.rules.agreement.clause(name)
            assert question.recipient.type in clause.recipient_types
            assert question.subject_category.category in clause.categories
    assert any(not ruling.reasons for _, ruling in ruled if not ruling.permitted), "no clause"


def test_a_suspended_agency_may_have_nothing(loaded: Loaded) -> None:
    case = CASES["full"]
    asked = [
        replace(one, recipient=replace(one.recipient, suspended=True))
        for one in asked_about(loaded.rules, case)
    ]
    ruled = loaded.rules.rule(case, asked, AGENCIES)
    assert {"suspended" in ruling.reasons for ruling in ruled} == {True}
    assert not any(ruling.permitted for ruling in ruled)


def test_what_cannot_be_evaluated_is_denied(loaded: Loaded) -> None:
    case = CASES["full"]
    asked = asked_about(loaded.rules, case)
    loaded.break_it()
    for ruling in loaded.rules.rule(case, asked, AGENCIES):
        assert (ruling.permitted, ruling.reasons) == (False, (RULE_FAILED,))
