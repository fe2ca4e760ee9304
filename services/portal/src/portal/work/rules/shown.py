"""A delivery's content as its page shows it: the safe-contact strip first, then the sections."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from hubformats import dates
from hubformats.masking import REMOVED
from hubformats.wording import (
    BASES,
    CHANNELS,
    CODED,
    CONDITIONS,
    GATEWAYS,
    RULE_LABEL,
    SHARING_PURPOSES,
    fact,
    rule,
    sentence,
)
from hubpartner.safe_contact import (
    CALL_BACK_ONLY,
    SAFE_LABEL,
    TIMES_LABEL,
    VALUE_LABEL,
    Unsafe,
    call_back,
    on_day,
    usable,
)

_STATED_ELSEWHERE: Final = frozenset({"Safe contact", "Last verified"})
_QUALITIES: Final[dict[str, str]] = {
    "professional_opinion": "professional opinion",
    "self_report": "as the person told it",
    "third_party_report": "reported by a third party",
}
_RENAMED: Final[dict[str, str]] = {
    VALUE_LABEL: "In the safe-contact rule",
    RULE_LABEL: "Why this level",
}
"""A label that is clear to whoever made it, or inside the strip says nothing outside it."""
_ASK_REFERRER: Final = "ask-referrer-first"
"""The obligation of whoever may not go through the IDVA service."""
_REPLACED: Final = "replaced"
"""The status of a safe-contact rule in whose place a newer delivery's stands."""
_LAST: Final = "risk_answers"
"""Two dozen answers stand between the level of risk and who it is about; they are shown, but after
the people.
"""


_URGENT_FIRST: Final = ("danger_summary", "danger_place", "callback", "referrer")
"""What whoever goes there at night reads first: the danger, where, whether she may be called back,
who sent it.
"""


@dataclass(frozen=True, slots=True)
class Means:
    """One way to reach the victim.

    It is `usable` only where somebody said that it is safe, and then only at `times` where some are
    given. Everything else is a warning.
    """

    verdict: str
    usable: bool
    channel: str
    value: str
    rules: tuple[tuple[str, str], ...]
    times: str = ""


@dataclass(frozen=True, slots=True)
class Strip:
    """The safe-contact strip: a heading that stands alone, usable means first, then the rest."""

    heading: str
    stop: bool
    means: tuple[Means, ...]
    facts: tuple[tuple[str, str], ...]
    checked_on: str
    until: str
    """The last day on which these means count as safe; "" where none does."""


@dataclass(frozen=True, slots=True)
class Item:
    """One fact. `warned` says what the strip does not allow, and is empty where it allows."""

    label: str
    about: str
    text: str
    quality: str
    warned: str


@dataclass(frozen=True, slots=True)
class Section:
    """Facts of one category.

    `quality` is what all of them are, said once; `contact` when it tells how to reach the victim.
    `first` of what is urgent stands above everything but the strip.
    """

    label: str
    quality: str
    contact: bool
    first: bool
    items: tuple[Item, ...]


def strip(content: Mapping[str, Any], today: date) -> Strip:
    """Make the strip for a package's `safeContact` as it stands `today`.

    A package without one means do not contact (design section 13, rule 5).
    """
    now = on_day(content.get("safeContact"), today)
    if now is None:
        heading = "Do not contact: the safe-contact rule was not shared with you"
        return Strip(heading, stop=True, means=(), facts=(), checked_on="", until="")
    stop = bool(now["doNotContact"])
    checked = dates.day(now["lastVerified"]) if now["lastVerified"] else ""
    means = sorted((_means(one, stop) for one in now["means"]), key=lambda one: not one.usable)
    facts = tuple(
        (item["label"], sentence(fact(item["value"])))
        for item in now["items"]
        if item["label"] not in _STATED_ELSEWHERE
    )
    until = "" if stop else dates.day(now["safeUntil"])
    if now["status"] == _REPLACED:
        means, facts, checked = [], (), ""
    heading = (
        f"Do not contact, {CALL_BACK_ONLY}"
        if call_back(content, today)
        else _heading(now, checked, _whom(content), stop=stop)
    )
    return Strip(heading, stop, tuple(means), facts, checked, until)


def outdated(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what still counts of content once a newer delivery says what is safe.

    Everything in the old rule then warns, and nothing in it allows.
    """
    safe = content.get("safeContact")
    if safe is None:
        return content
    return {**content, "safeContact": {**safe, "status": _REPLACED, "doNotContact": True}}


def sections(content: Mapping[str, Any], today: date) -> list[Section]:
    """List every section, none left out. What may not be used `today` is marked."""
    unsafe = Unsafe(content, today)
    first = _URGENT_FIRST if content.get("urgent") else ()
    places = {category: place for place, category in enumerate(first, -len(first))} | {_LAST: 1}
    ordered = sorted(content["sections"], key=lambda one: places.get(one["category"], 0))
    return [_section(one, unsafe, first=one["category"] in first) for one in ordered]


def names_referrer(content: Mapping[str, Any]) -> bool:
    """Tell whether the clause let this agency know who referred, and the sender said so."""
    return any(one["category"] == "referrer" for one in content["sections"])


def held_back(content: Mapping[str, Any]) -> str:
    """Say that an address is shielded, or may be. Empty unless the content itself says so.

    It names no kind of information and counts nothing. What else was withheld leaves no trace
    (design section 13, rule 12).
    """
    ask = (
        "whoever sent it"
        if names_referrer(content)
        else "the hub's support on 01632 960000, who can reach the sender"
    )
    values = [item["value"] for section in content["sections"] for item in section["items"]]
    if any(REMOVED in text for text in _strings([values, content.get("safeContact")])):
        return (
            "An address on this case is shielded. Accounts that may name the place are held "
            f"back from every agency. If you need them, ask {ask}."
        )
    texts = [content["clause"]["text"], *(one["text"] for one in content["otherClauses"])]
    if any("shielded" in text for text in texts):
        return (
            "When an address on a case is shielded, accounts that may name the place are held "
            "back from every agency, "
            f"what happened and why it was referred among them. If you miss them here, ask {ask}."
        )
    return ""


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def risk_level(content: Mapping[str, Any]) -> str:
    """Return the level of risk, empty when it was not shared."""
    for one in content["sections"]:
        if one["category"] == "risk_summary":
            return next(
                (str(item["value"]) for item in one["items"] if item["label"] == "Risk level"), ""
            )
    return ""


def _heading(safe: Mapping[str, Any], checked: str, ask: str, *, stop: bool) -> str:
    status = safe["status"]
    if not stop:
        return "Contact only as follows"
    if status == _REPLACED:
        return "Do not contact anybody by this page"
    if status == "unsafe":
        return "Do not contact"
    if status == "unverified" and not safe.get("advocate"):
        return f"Do not contact: what was safe is no longer verified. Ask {ask}"
    if status == "unverified":
        return (
            f"Do not contact: unverified since {checked}"
            if checked
            else "Do not contact: never verified"
        )
    return "Do not contact: nobody knows yet what is safe"


def _whom(content: Mapping[str, Any]) -> str:
    """Name whom to ask what is safe. An IDVA service that is kept out of the case is not asked."""
    codes = {one["code"] for one in content.get("obligations", ())}
    return "the agency that referred" if _ASK_REFERRER in codes else "the area's IDVA service"


def _means(items: Sequence[Mapping[str, Any]], stop: bool) -> Means:
    told = {str(item["label"]): str(item["value"]) for item in items}
    safe = told.pop(SAFE_LABEL, "unknown")
    code, value = told.pop("Channel", ""), told.pop(VALUE_LABEL, "")
    channel = CHANNELS.get(code, sentence(code))
    may = usable(items, stop=stop)
    times = sentence(fact(told.pop(TIMES_LABEL, ""))) if may else ""
    rules = tuple((label, sentence(fact(text))) for label, text in told.items())
    if times:
        return Means("Safe only at these times", True, channel, value, rules, times)
    if may:
        return Means("Safe to use", True, channel, value, rules)
    if safe == "no":
        return Means("Do not use", False, channel, value, rules)
    if safe == "doubtful":
        return Means("Doubtful, contradicted: do not use", False, channel, value, rules)
    if safe != "yes":
        return Means("Not known to be safe: do not use", False, channel, value, rules)
    return Means("Was safe once, not now: do not use", False, channel, value, rules)


def _section(raw: Mapping[str, Any], unsafe: Unsafe, *, first: bool) -> Section:
    told = {_QUALITIES.get(item["quality"], "") for item in raw["items"]}
    common = told.pop() if len(told) == 1 and len(raw["items"]) > 1 else ""
    items = tuple(
        _item(
            item,
            raw["label"],
            common=bool(common),
            warned=unsafe.warning(raw["category"], item["value"]),
        )
        for item in raw["items"]
    )
    contact = raw["category"] in {"victim_phone", "callback"}
    return Section(raw["label"], common, contact, first, items)


def _item(raw: Mapping[str, Any], heading: str, *, common: bool, warned: str) -> Item:
    label, value = str(raw["label"]), str(raw["value"])
    meaning = CODED.get(label, {}).get(value, "")
    about = str(raw.get("about", ""))
    return Item(
        label=_RENAMED.get(label, label),
        about="" if heading.startswith(about) else about,
        text=meaning or _text(label, raw["value"]),
        quality="" if common else _QUALITIES.get(raw["quality"], ""),
        warned=warned,
    )


def _text(label: str, value: Any) -> str:
    if label == "NHS number" and isinstance(value, str) and len(value) == 10:
        return f"{value[:3]} {value[3:6]} {value[6:]}"
    if label == RULE_LABEL and rule(str(value)) != str(value):
        return rule(str(value))
    text = fact(value)
    # A capital for codes and single words only: somebody's own words stay as they were said.
    return sentence(text) if text != str(value) or text.isalpha() else text


def reasons(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """List why a disclosure was made: label and meaning."""
    clause = content["clause"]
    others = ", ".join(one["id"] for one in content["otherClauses"])
    agreement = (
        f"{clause['id']} of the {sentence(clause['agreement'])} sharing agreement, "
        f"version {clause['version']}"
    )
    rows = [("Clause", agreement)]
    if others:
        rows.append(("Also under", others))
    rows.append(("Why it is needed", str(content["necessity"])))
    for label, name, meanings in (
        ("Purpose", "purpose", SHARING_PURPOSES),
        ("Lawful basis", "lawfulBasis", BASES),
        ("Condition", "condition", CONDITIONS),
        ("Statutory gateway", "gateway", GATEWAYS),
    ):
        code = str(content[name])
        rows.append((label, meanings.get(code, sentence(code))))
    return rows
