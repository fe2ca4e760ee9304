"""A delivery in words for a person at a terminal. First what may be said of its proof, then safe
contact before anything else."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final

from hubformats import dates
from hubformats.package_proof import Verdict
from hubformats.visible_text import visible
from hubformats.wording import (
    BASES,
    COMPARE,
    CONDITIONS,
    GATEWAYS,
    SHARING_PURPOSES,
    sentence,
    told,
)
from hubpartner.safe_contact import (
    CALL_BACK_ONLY,
    SAFE_LABEL,
    TIMES_LABEL,
    Unsafe,
    call_back,
    on_day,
    usable,
)

_ACCOUNTS: Final = frozenset(
    {
        "consent",
        "danger_place",
        "danger_summary",
        "incident_narrative",
        "incident_place",
        "risk_answers",
        "risk_summary",
        *(f"{role}_needs" for role in ("victim", "perpetrator", "child", "household")),
        *(f"{role}_whereabouts" for role in ("victim", "perpetrator", "child", "household")),
    }
)
"""Categories in which somebody's own words may have several lines."""


def standing(verdict: Verdict) -> str:
    """Write one line about the proof.

    A promise is never called proven (design section 8, emergency path).
    """
    if verdict.standing == "promised":
        due = "" if verdict.due is None else f" by {dates.moment(verdict.due)}"
        return f"promised: emergency release, its log entry is due{due}"
    witnessed = "" if verdict.witnessed else ", not yet witnessed"
    return f"proven: entry {verdict.index} of a log of {verdict.size}{witnessed}"


def shown(verdict: Verdict, day: date) -> str:
    """Write the whole content as text, its safe-contact rule as it stands on `day`.

    What could steer the terminal is written out, so that no value looks like a line of this
    program. An account of several lines goes on behind a bar.
    """
    return "\n".join(visible(line) for line in _lines(verdict, day))


def _lines(verdict: Verdict, day: date) -> Iterator[str]:
    content = verdict.content
    yield (
        f"Case {content['caseReference']}   "
        f"{'URGENT, provisional' if content['provisional'] else ''}"
    ).rstrip()
    yield f"Proof: {standing(verdict)}"
    if content["kind"] == "withdrawal":
        yield from _withdrawn(content)
        return
    yield from _contact(content, day)
    if content["kind"] == "correction":
        yield f"CORRECTION: {' '.join(COMPARE)}"
    clause = content["clause"]
    yield (
        f"Shared under {clause['id']} of {clause['agreement']} {clause['version']}: "
        f"{clause['text']}"
    )
    yield (
        f"Purpose: {_meaning(SHARING_PURPOSES, content['purpose'])}; "
        f"basis: {_meaning(BASES, content['lawfulBasis'])}; "
        f"condition: {_meaning(CONDITIONS, content['condition'])}; "
        f"gateway: {_meaning(GATEWAYS, content['gateway'])}"
    )
    for obligation in content["obligations"]:
        yield f"You must: {obligation['text']}"
    unsafe = Unsafe(content, day)
    for section in content["sections"]:
        yield f"{section['label']}"
        for item in section["items"]:
            warning = unsafe.warning(section["category"], item["value"]).upper()
            yield from _section_item(section["category"], item, warning)


def _contact(content: Mapping[str, Any], day: date) -> Iterator[str]:
    """Say whom the safe-contact rule lets anybody contact on `day`, and how."""
    safe = on_day(content.get("safeContact"), day)
    if safe is not None:
        since = (
            f" since {dates.day(safe['lastVerified'])}"
            if safe["status"] == "unverified" and safe["lastVerified"]
            else ""
        )
        stop = f"DO NOT CONTACT ({safe['status']}{since})"
        if call_back(content, day):
            stop = f"{stop}, {CALL_BACK_ONLY}"
        yield "SAFE CONTACT: " + (
            stop
            if safe["doNotContact"]
            else f"safe until {dates.day(safe['safeUntil'])}, only as follows"
        )
        yield from (f"  {line}" for line in map(_item, safe["items"]))
        for means in safe["means"]:
            yield _means(means, stop=safe["doNotContact"])
    else:
        yield "SAFE CONTACT: not shared with you; do not contact"


def _means(means: Sequence[Mapping[str, Any]], *, stop: bool) -> str:
    """Write one way of contact. What was safe when it was sent is said to have been so."""
    may = usable(means, stop=stop)
    times = next((str(one["value"]) for one in means if one["label"] == TIMES_LABEL), "")
    word = ("may be used ONLY AT THESE TIMES" if times else "may be used") if may else "DO NOT USE"
    first = [one for one in means if may and one["label"] == TIMES_LABEL]
    rest = [one for one in means if one not in first]
    told = (_item(one) if may else _was(one) for one in (*first, *rest))
    return f"  - {word}: " + "; ".join(told)


def _was(item: Mapping[str, Any]) -> str:
    """Write a fact of what may not be used, and never that it is safe."""
    said_safe = (item["label"], item["value"]) == (SAFE_LABEL, "yes")
    return "was: yes" if said_safe else _item(item)


def _withdrawn(content: Mapping[str, Any]) -> Iterator[str]:
    """Say what was taken back, and that it must not be used any more."""
    yield "TAKEN BACK: do not act on these deliveries, and contact nobody because of them"
    yield from (f"  - {one}" for one in content["withdraws"])
    yield "What was read cannot be unread. No reason is given, so that nobody is put at risk by it."
    for obligation in content["obligations"]:
        yield f"You must: {obligation['text']}"
    if content.get("answerBy"):
        yield f"Answer by {dates.moment(content['answerBy'])}"


def _section_item(category: str, item: Mapping[str, Any], warning: str) -> Iterator[str]:
    first, *more = _item(item).split("\n") if category in _ACCOUNTS else (_item(item),)
    last = f"  {warning}" if warning else ""
    yield f"  {first}{'' if more else last}"
    yield from (
        f"    | {one}{last if place == len(more) else ''}" for place, one in enumerate(more, 1)
    )


def _meaning(meanings: Mapping[str, str], code: object) -> str:
    return meanings.get(str(code)) or sentence(code)


def _item(item: Mapping[str, Any]) -> str:
    text = told(str(item["label"]), item["value"])
    about = f" ({item['about']})" if "about" in item else ""
    opinion = "" if item["quality"] == "fact" else f"  [{item['quality'].replace('_', ' ')}]"
    return f"{item['label']}{about}: {text}{opinion}"
