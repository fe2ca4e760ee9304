"""What one form says twice and differently of a way to reach the victim: do not use it."""

from collections.abc import Iterable, Iterator
from typing import Final

from common.events.case import Fact
from hubformats.phones import contact_keys
from referral.intake.model.errors import FormFault
from referral.intake.model.form import ContactMeans, FullReferral

DOUBTFUL: Final = "doubtful"
"""What "safe to use" becomes: no plain yes, so nobody is told to use it."""
_HIS: Final = (
    "the form also gives this to the person alleged, so it is passed on as doubtful, do not use; "
    "if it is hers, send a correction, and until then nobody contacts her on it"
)
_UNSAFE: Final = (
    "the form also calls this number or address not safe, so it is passed on as doubtful, do not "
    "use; say in one place what holds"
)


def doubts(form: FullReferral) -> tuple[FormFault, ...]:
    """List each means of contact that the form calls safe and contradicts elsewhere.

    Compared by what is dialled, however it is spelt.
    """
    return tuple(
        FormFault(f"/safeContact/means/{place}/value", sentence)
        for place, sentence in _doubtful(form)
    )


def with_doubts(form: FullReferral, facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Make `facts` of the form say doubtful where it vouches for what it contradicts."""
    paths = {f"safe_contact.means.{place}.safe" for place, _ in _doubtful(form)}
    return tuple(
        fact.model_copy(update={"value": DOUBTFUL}) if fact.path in paths else fact
        for fact in facts
    )


def _doubtful(form: FullReferral) -> Iterator[tuple[int, str]]:
    means = form.safe_contact.means
    his = {
        key
        for person in form.people
        if person.role == "perpetrator" and person.phone is not None
        for key in contact_keys(person.phone)
    }
    unsafe = {key for one in means if one.safe == "no" for key in _keys(one)}
    for place, one in enumerate(means):
        if one.safe != "yes":
            continue
        if _keys(one) & his:
            yield place, _HIS
        elif _keys(one) & unsafe:
            yield place, _UNSAFE


def _keys(means: ContactMeans) -> frozenset[str]:
    return frozenset() if means.value is None else contact_keys(means.value)
