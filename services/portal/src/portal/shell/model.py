"""A person's visit: who, for how long, and which tokens stand behind it."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from common.access import Principal
from portal.permissions import AUTHORITY, OFFICERS, SECOND_PERSONS

IDLE: Final = timedelta(minutes=15)
ABSOLUTE: Final = timedelta(hours=8)
"""One shift (ASVS 5.0 section 7.1.1); nobody stays signed in into the next one."""
SIGN_IN_LASTS: Final = timedelta(minutes=10)


_SHORTEST: Final = 10
LONGEST: Final = 2_000
"""Characters of a reason that the services take."""


def written(typed: Mapping[str, str], field: str = "reason") -> str:
    """Return what stands in a text box as it is counted and sent: line ends as one character."""
    return typed.get(field, "").replace("\r\n", "\n").strip()


def reason_problem(reason: str, too_short: str) -> str:
    """Say what is wrong with a reason that was written, or nothing.

    One that is too long is shown again whole: whoever wrote it decides what goes.
    """
    if len(reason) < _SHORTEST:
        return too_short
    if len(reason) > LONGEST:
        return (
            f"Shorten this to {LONGEST:,} characters: it has {len(reason):,}. Every word of it "
            "still stands here"
        )
    return ""


class CallRefused(Exception):
    """Another service refused. `code` is its problem's one word, never what was sent."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code


class NoAnswer(Exception):
    """No usable answer came from another service: the call may or may not have taken effect.

    One that only read something, `reading`, had no effect to take.
    """

    def __init__(self, text: str = "", *, reading: bool = False) -> None:
        super().__init__(text)
        self.reading = reading


class TokenRefused(Exception):
    """Identity gave no token for a call. `code` is OAuth's error word, or `unreachable`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in. The name is for their own screen only."""

    id: str
    name: str
    agency: str
    roles: tuple[str, ...]

    @property
    def is_auditor(self) -> bool:
        """Tell whether the audit screens are theirs."""
        return "auditor" in self.roles

    @property
    def reads_deliveries(self) -> bool:
        """Tell whether the work list is theirs."""
        others = {"auditor", "operator", *OFFICERS}
        return others.isdisjoint(self.roles)

    @property
    def sets_vetoes(self) -> bool:
        """Tell whether vetoes on the agency's own referrals are theirs."""
        return self.reads_deliveries

    @property
    def is_second_person(self) -> bool:
        """Tell whether they answer when a veto is to be lifted; referral judges again."""
        return not SECOND_PERSONS.isdisjoint(self.roles)

    @property
    def is_privacy_officer(self) -> bool:
        """Tell whether the queue of second looks is theirs."""
        return not OFFICERS.isdisjoint(self.roles)

    @property
    def may_release(self) -> bool:
        """Tell whether emergency release is theirs.

        Sharing judges again, by role, agency and age of the sign-in.
        """
        return not AUTHORITY.isdisjoint(self.roles)

    @property
    def first_screen(self) -> str:
        """Tell where a visit begins."""
        if self.is_privacy_officer:
            return "/second-looks"
        return (
            "/audit-log" if self.is_auditor else "/work" if self.reads_deliveries else "/no-screens"
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """What a person had written when asked to sign in again, kept for that person alone."""

    person: str
    """The person's id or, when their visit had ended, the form token of that visit."""
    place: str
    """The page of ours on which they go on."""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)

    def is_of(self, person: str) -> bool:
        """Tell whether this person wrote it."""
        return self.person == person or is_token_of(self.person, person)


def form_token(person: str) -> str:
    """Make the token of a visit's forms.

    It outlives the visit on a page that stands open, and tells then whose page it was.
    """
    nonce = secrets.token_urlsafe(32)
    return f"{nonce}.{_mark(nonce, person)}"


def is_token_of(token: str, person: str) -> bool:
    """Tell whether a form's token is of a visit of this person."""
    nonce, dot, mark = token.partition(".")
    return bool(dot) and secrets.compare_digest(mark.encode(), _mark(nonce, person).encode())


def _mark(nonce: str, person: str) -> str:
    return hashlib.sha256(f"{nonce}.{person}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A sign-in under way, bound to one browser by its cookie. Secrets are kept out of `repr`."""

    state: str
    verifier: str = field(repr=False)
    dpop_jwk: dict[str, str] = field(repr=False)
    began: datetime
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Grantings:
    """What identity gave at sign-in: the refresh token, and the scopes it may ask for."""

    refresh_token: str = field(repr=False)
    scope: str
    issuer: str
    acr: str
    auth_time: int | None

    def allows(self, scope: str) -> bool:
        """Tell whether identity granted this scope at sign-in."""
        return scope in self.scope.split()


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in visit."""

    id: bytes
    """SHA-256 of the cookie; the cookie itself is nowhere."""
    person: Person
    grantings: Grantings
    dpop_jwk: dict[str, str] = field(repr=False)
    csrf: str = field(repr=False)
    created: datetime
    seen: datetime
    draft: Draft | None = None
    asked: dict[str, str] = field(default_factory=dict, repr=False)
    """The last search of the audit log with its id, shown beside its results."""
    released: dict[str, str] = field(default_factory=dict, repr=False)
    """What this person saw leave on a promise: delivery id → case reference.

    By it the page can say when the proof has come.
    """

    @property
    def principal(self) -> Principal:
        """Return the person as a caller, with the scopes that identity granted at sign-in."""
        return Principal(
            issuer=self.grantings.issuer,
            subject=self.person.id,
            client_id="portal",
            kind="person",
            agency=self.person.agency,
            roles=frozenset(self.person.roles),
            scopes=frozenset(self.grantings.scope.split()),
            acr=self.grantings.acr or None,
            auth_time=self.grantings.auth_time,
        )

    def written(self, place: str) -> Mapping[str, str]:
        """Return what was written for this page before a second sign-in."""
        draft = self.draft
        return {} if draft is None or draft.place != place else draft.fields

    def over(self, now: datetime) -> bool:
        """Tell whether it ended by idleness or by its age."""
        return now - self.seen > IDLE or now - self.created > ABSOLUTE
