"""A desk that lost answer and key finds what it sent, and can keep up with what changes."""

from datetime import timedelta

from common.attempts import Attempt
from common.testing import ManualClock
from referral.cases import use_cases as case_use_cases
from referral.cases.use_cases import Veto
from referral.context import AgencyDirectory, Context
from referral.intake import use_cases as intake
from referral.intake.model.form import FullReferral, UrgentReferral
from referral.sent.model import SentPage, Wanted
from referral.sent.use_cases import list_sent
from tests.support.referral_fakes import HOUSING, POLICE, RULES, FakeTx, granted
from tests.support.referral_forms import full, urgent


class Sender:
    """An agency that sends at its own pace."""

    def __init__(self) -> None:
        self.tx = FakeTx()
        self.clock = ManualClock()
        self.context = Context(self.clock, b"r" * 32)

    def send(self, reference: str, *, danger: bool = True, agency: str = POLICE) -> str:
        """A referral, a minute after the one before; its id."""
        self.clock.advance(timedelta(minutes=1))
        made = urgent if danger else full
        kind = UrgentReferral if danger else FullReferral
        form = kind.model_validate(made(externalReference=reference))
        taken = intake.submit_referral(
            self.tx, granted(agency), form, Attempt(b"a", b"b"), self.context, RULES
        )
        return str(taken.referral.referral_id)

    def list(self, limit: int = 10, agency: str = POLICE, **wanted: object) -> SentPage:
        """What the agency is shown."""
        asked = Wanted(limit, **wanted)  # type: ignore[arg-type]
        return list_sent(self.tx, granted(agency, "referral.read"), asked)


def ids(page: SentPage) -> list[str]:
    """In the order shown."""
    return [str(item.referral_id) for item in page.items]


def test_every_referral_under_a_reference_is_found_urgent_ones_too() -> None:
    sender = Sender()
    first, second = sender.send("INC-1"), sender.send("INC-1")
    third = sender.send("INC-1", danger=False)
    sender.send("INC-2")
    assert ids(sender.list(external_reference="inc-1 ")) == [first, second, third]
    assert sender.list(external_reference="INC-3") == SentPage((), more=False)


def test_anothers_reference_is_not_found() -> None:
    sender = Sender()
    sender.send("INC-1")
    assert sender.list(agency=HOUSING, external_reference="INC-1") == SentPage((), more=False)
    assert sender.list(agency=HOUSING) == SentPage((), more=False)


def test_pages_follow_on_each_other_and_what_changes_comes_again_at_the_end() -> None:
    sender = Sender()
    sent = [sender.send(f"INC-{number}") for number in range(5)]
    page = sender.list(2)
    assert (ids(page), page.more) == (sent[:2], True)
    place = (page.items[-1].changed_at, page.items[-1].referral_id)
    sender.clock.advance(timedelta(minutes=1))
    case_use_cases.set_must_not_disclose(
        sender.tx,
        granted(),
        page.items[0].referral_id,
        Veto(HOUSING, "*", "r"),
        AgencyDirectory(frozenset({HOUSING})),
        sender.context,
    )
    late = sender.send("INC-late")
    rest = sender.list(10, after=place)
    assert (ids(rest), rest.more) == ([*sent[2:], sent[0], late], False)
    assert [item.version for item in rest.items] == [1, 1, 1, 2, 1]


def test_changed_since_counts_the_moment_itself() -> None:
    sender = Sender()
    sent = [sender.send(f"INC-{number}") for number in range(3)]
    since = sender.list().items[1].changed_at
    assert ids(sender.list(changed_since=since)) == sent[1:]


def test_one_listing_is_one_counted_entry_that_names_no_case() -> None:
    sender = Sender()
    sender.send("INC-1")
    sender.send("INC-1")
    before = len(sender.tx.held.entries)
    sender.list()
    (entry,) = sender.tx.held.entries[before:]
    assert (entry.operation, entry.count, entry.case_id, entry.subjects) == ("search", 2, None, ())
    sender.list(external_reference="nothing")
    assert sender.tx.held.entries[-1].count == 0
