"""A delivery in words for a person at a terminal: what may be said of its proof, then safe contact
before anything else."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from hubformats.package_proof import Verdict
from hubpartner.safe_contact import Unsafe, on_day, usable


def standing(verdict: Verdict) -> str:
    """One line about the proof.

    A promise is never called proven (design section 8, emergency path).
    """
    if verdict.standing == "promised":
        due = "" if verdict.due is None else f" by {verdict.due.isoformat(timespec='minutes')}"
        return f"promised: emergency release, its log entry is due{due}"
    witnessed = "" if verdict.witnessed else ", not yet witnessed"
    return f"proven: entry {verdict.index} of a log of {verdict.size}{witnessed}"


def shown(verdict: Verdict, day: date) -> str:
    """The whole content as text, its safe-contact rule as it stands on `day`."""
    return "\n".join(_lines(verdict, day))


def _lines(verdict: Verdict, day: date) -> Iterator[str]:
    content = verdict.content
    yield (
        f"Case {content['caseReference']}   "
        f"{'URGENT, provisional' if content['provisional'] else ''}"
    ).rstrip()
    yield f"Proof: {standing(verdict)}"
    safe = on_day(content.get("safeContact"), day)
    if safe is not None:
        since = (
            f" since {safe['lastVerified']}"
            if safe["status"] == "unverified" and safe["lastVerified"]
            else ""
        )
        stop = f"DO NOT CONTACT ({safe['status']}{since})"
        yield "SAFE CONTACT: " + (
            stop if safe["doNotContact"] else f"safe until {safe['safeUntil']}, only as follows"
        )
        yield from (f"  {line}" for line in map(_item, safe["items"]))
        for means in safe["means"]:
            word = "may be used" if usable(means, stop=safe["doNotContact"]) else "DO NOT USE"
            yield (f"  - {word}: " + "; ".join(map(_item, means)))
    else:
        yield "SAFE CONTACT: not shared with you; do not contact"
    clause = content["clause"]
    yield (
        f"Shared under {clause['id']} of {clause['agreement']} {clause['version']}: "
        f"{clause['text']}"
    )
    yield (
        f"Purpose {content['purpose']}; basis {content['lawfulBasis']}; condition "
        f"{content['condition']}; gateway {content['gateway']}"
    )
    for obligation in content["obligations"]:
        yield f"You must: {obligation['text']}"
    unsafe = Unsafe(content.get("safeContact"), day)
    for section in content["sections"]:
        yield f"{section['label']}"
        for item in section["items"]:
            warned = unsafe.warns(section["category"], item["value"])
            yield f"  {_item(item)}{'  DO NOT USE' if warned else ''}"


def _item(item: Mapping[str, Any]) -> str:
    value = item["value"]
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    about = f" ({item['about']})" if "about" in item else ""
    opinion = "" if item["quality"] == "fact" else f"  [{item['quality'].replace('_', ' ')}]"
    return f"{item['label']}{about}: {text}{opinion}"
