"""From a form to categorised facts: walks the annotated fields, so a field nobody categorised cannot slip through."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from common.events.case import Fact
from referral.domain.form import BY_ROLE, ContactMeans, Form, FullReferral, Internal, Person, SafeContact, Shared, UrgentReferral
from referral.domain.rules import Instrument, Rules


class Uncategorised(TypeError):
    """A form field carries neither a data category nor a reason to stay internal: refused before anything is stored."""


def facts_of(form: FullReferral | UrgentReferral, subjects: dict[str, UUID]) -> tuple[Fact, ...]:
    """Every filled field of `form` as a fact under its category. `subjects` maps a person's ref to the subject id.

    Raises Uncategorised if a filled field has no category.
    """
    victim = subjects["victim"] if isinstance(form, UrgentReferral) else _victim(form, subjects)
    return tuple(_walk(form, "", victim, "victim", subjects))


def answered_items(form: FullReferral, instrument: Instrument) -> Iterator[tuple[int, str, str]]:
    """Position, subject and wording of each answer, for the risk section of a snapshot."""
    if form.risk is None:
        return
    words = {"yes": "Yes", "no": "No", "dont_know": "Don't know", "not_asked": "Not asked"}
    for place, answer in enumerate(form.risk.answers):
        yield place, instrument.items[answer.concept], f"{words[answer.answer]} (said by: {answer.source.replace('_', ' ')})"


def risk_facts(form: FullReferral, instrument: Instrument | None, victim: UUID) -> tuple[Fact, ...]:
    """Each answer in words under its item's subject; the level and score stand in the snapshot's own risk part."""
    if instrument is None:
        return ()
    return tuple(
        Fact(path=f"risk.answers.{place}", category="risk_answers", subject=victim, label=subject, value=words, quality="self_report")
        for place, subject, words in answered_items(form, instrument)
    )


def safe_contact_facts(safe: SafeContact | None, victim: UUID, rules: Rules, today: date) -> tuple[Fact, ...]:
    """The rule for reaching the victim: one overall answer and one line per means.

    The overall answer is yes only while a means is safe and was verified within the rules' days; an expired rule shows
    since when it is unverified and counts as unknown (design section 13, rule 5). None means nobody asked.
    """
    answer, since = _safe_now(safe, rules, today)
    made = [_contact("safe", "Safe to contact", answer, victim)]
    if since is not None:
        made.append(_contact("unverified", "Unverified since", since.isoformat(), victim))
    for place, means in enumerate(safe.means if safe else ()):
        made.append(_contact(f"means.{place}.rule", _CHANNELS[means.channel], _rule(means), victim))
        if means.value is not None:
            label = f"{_CHANNELS[means.channel]} ({_SAFE[means.safe]})"
            made.append(Fact(path=f"safe_contact.means.{place}.value", category="victim_phone", subject=victim, label=label, value=means.value))
    return tuple(made)


_CHANNELS = {
    "phone": "Phone", "sms": "Text message", "email": "Email", "post": "Post", "in_person": "In person", "via_idva": "Through the IDVA",
    "via_school": "Through the school",
}  # fmt: skip
_SAFE = {"yes": "safe to use", "no": "NOT safe", "unknown": "not known: do not use"}
_VOICEMAIL = {"never": "never leave a message", "code_name": "message with the code name only", "yes": "message allowed", "unknown": "no message"}


def _safe_now(safe: SafeContact | None, rules: Rules, today: date) -> tuple[str, date | None]:
    if safe is None or safe.status == "unknown":
        return "unknown", None
    if safe.status == "do_not_contact" or not any(means.safe == "yes" for means in safe.means):
        return "no", None
    if safe.last_verified is None or (today - safe.last_verified).days > rules.safe_contact_days:
        return "unknown", safe.last_verified
    return "yes", None


def _rule(means: ContactMeans) -> str:
    parts = [_SAFE[means.safe]]
    if means.safe == "yes":
        parts += [text for text in (means.times, means.who_may_answer) if text]
        parts.append(_VOICEMAIL[means.voicemail])
    return "; ".join(parts)


def _contact(path: str, label: str, value: str, victim: UUID) -> Fact:
    return Fact(path=f"safe_contact.{path}", category="victim_safe_contact", subject=victim, label=label, value=value)


def _victim(form: FullReferral, subjects: dict[str, UUID]) -> UUID:
    return next(subjects[person.ref] for person in form.people if person.role == "victim")


def _walk(part: BaseModel, path: str, subject: UUID, role: str, subjects: dict[str, UUID]) -> Iterator[Fact]:
    for name, info in type(part).model_fields.items():
        value = getattr(part, name)
        here = f"{path}{name}"
        if value is None or value == ():
            continue
        if isinstance(value, Form):
            yield from _walk(value, f"{here}.", subject, role, subjects)
        elif isinstance(value, tuple) and isinstance(value[0], Form):
            for place, entry in enumerate(value):
                who = (subjects[entry.ref], entry.role) if isinstance(entry, Person) else (subject, role)
                yield from _walk(entry, f"{here}.{place}.", *who, subjects)
        else:
            yield from _leaf(info, here, value, subject, role)


def _leaf(info: FieldInfo, path: str, value: Any, subject: UUID, role: str) -> Iterator[Fact]:
    kind = next((mark for mark in info.metadata if isinstance(mark, (Shared, Internal))), None)
    if kind is None and value == "do_not_call":
        kind = Shared("callback", "Call back on")
        value = "Do not call"
    if kind is None:
        raise Uncategorised(path)
    if isinstance(kind, Shared):
        category = BY_ROLE.get((kind.category, role), kind.category)
        owner = None if category == "referrer" else subject
        yield Fact(path=path, category=category, subject=owner, label=kind.label, value=_plain(value), quality=kind.quality or "fact")


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    return value
