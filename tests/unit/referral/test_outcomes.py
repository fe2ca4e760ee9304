"""What the referrer hears of one recipient, in whatever order news comes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from referral.cases.model.outcome import LATER, Outcome, OutcomeState, Proof

AT = datetime(2026, 11, 21, 2, tzinfo=UTC)
S = OutcomeState


def outcome(state: OutcomeState, version: int = 1, proof: Proof | None = None) -> Outcome:
    """One, an hour later for each version."""
    at = AT + timedelta(hours=version)
    return Outcome("idva", version, state, changed_at=at, first_at=at, proof=proof)


@pytest.mark.parametrize("known", OutcomeState)
@pytest.mark.parametrize("news", OutcomeState)
def test_within_a_version_only_a_later_state_follows(
    known: OutcomeState, news: OutcomeState
) -> None:
    before = outcome(known)
    after = before.heard(replace(outcome(news), changed_at=AT + timedelta(days=1)))
    assert after.state is (news if news in LATER[known] else known)


@pytest.mark.parametrize("known", OutcomeState)
@pytest.mark.parametrize("news", OutcomeState)
def test_a_newer_version_brings_any_state_but_never_untells(
    known: OutcomeState, news: OutcomeState
) -> None:
    after = outcome(known).heard(outcome(news, 2))
    stays = news is S.WITHHELD and known in {S.RELEASED, S.SAVED, S.WITHDRAWN}
    assert after.state is (known if stays else news)
    assert after.first_at == outcome(known).first_at


def test_what_was_taken_back_reads_so_until_a_correction_leaves() -> None:
    gone = outcome(S.RELEASED).taken_back(2, AT + timedelta(hours=2), asked=False)
    assert (gone.state, gone.version) == (S.WITHDRAWN, 2)
    waits = gone.heard(outcome(S.DECIDED, 2))
    assert waits.state is S.WITHDRAWN
    late = replace(outcome(S.RELEASED, 2), changed_at=AT + timedelta(hours=1))
    assert waits.heard(late).state is S.WITHDRAWN, "it left before it was taken back"
    left = replace(outcome(S.RELEASED, 2), changed_at=AT + timedelta(hours=3))
    assert waits.heard(left).state is S.RELEASED


def test_older_news_changes_nothing() -> None:
    known = outcome(S.DECIDED, 2)
    assert known.heard(outcome(S.SAVED, 1)) == known


def test_no_state_is_later_than_itself() -> None:
    assert set(LATER) == set(OutcomeState)
    assert not [state for state in OutcomeState if state in LATER[state]]


def test_a_promise_that_failed_is_told_until_its_proof_comes() -> None:
    overdue = outcome(S.RELEASED, proof=Proof.PROMISED).unkept(1, Proof.OVERDUE)
    assert overdue.proof is Proof.OVERDUE
    moved_on = overdue.heard(outcome(S.RELEASED, 2, Proof.PROVEN))
    assert (moved_on.proof, moved_on.earlier_promise) == (Proof.PROVEN, Proof.OVERDUE)
    assert moved_on.heard(outcome(S.RELEASED, 1, Proof.PROVEN)).earlier_promise is None
    broken = moved_on.unkept(1, Proof.BROKEN)
    assert broken.heard(outcome(S.RELEASED, 1, Proof.PROVEN)).earlier_promise is Proof.BROKEN
    assert broken.unkept(1, Proof.OVERDUE).earlier_promise is Proof.BROKEN


def test_saved_follows_what_left_and_keeps_its_proof() -> None:
    saved = outcome(S.RELEASED, proof=Proof.PROMISED).saved(AT + timedelta(days=2))
    assert (saved.state, saved.proof, saved.changed_at) == (
        S.SAVED,
        Proof.PROMISED,
        AT + timedelta(days=2),
    )
    for unchanged in (saved, outcome(S.WITHHELD)):
        assert unchanged.saved(AT) == unchanged
