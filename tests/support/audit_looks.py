"""Callers of the audit service as a guard would grant them, and the looks they are entitled to."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from audit.questions.model import (
    AuthorisedLook,
    Entitlements,
    Filter,
    Mandates,
    Question,
    Rules,
    asker_of,
    micros_of,
)
from common.access import Granted, Principal, grant

AREA: Final = "area"
NOW: Final = datetime(2026, 11, 23, 9, tzinfo=UTC)
HOLDS: Final = timedelta(hours=8)
AGENCIES: Final = ("a", "b", "c", "d")
ENTITLEMENTS: Final = Entitlements(
    Mandates(
        AREA,
        frozenset(AGENCIES),
        {"auditor": (date(2026, 11, 1), date(2026, 11, 23))},
        frozenset({"auditors-client"}),
    ),
    (Rules("test/1", AREA, date(2026, 1, 1), HOLDS),),
)


def caller(agency: str = AREA, subject: str = "auditor", *, at: datetime = NOW) -> Granted:
    """Grant reading to a person; without more said to the mandated auditor."""
    who = Principal("issuer", subject, "portal", "person", agency, scopes=frozenset({"audit.read"}))
    return grant(who, scope="audit.read", operation="consultation", at=at)


def asked(granted: Granted, *, size: int = 99, wanted: Filter | None = None) -> Question:
    """Make the question that this caller would have recorded now."""
    return Question(
        uuid4(),
        asker_of(granted),
        ENTITLEMENTS.sight(granted).agency,
        "verify_lawfulness",
        wanted or Filter(),
        size,
        micros_of(granted),
    )


def look(agency: str | None, *, size: int = 99, **wanted: Any) -> AuthorisedLook:
    """Authorise an agency's auditor, or the mandated one for None."""
    granted = caller() if agency is None else caller(agency, "somebody")
    return ENTITLEMENTS.look(granted, asked(granted, size=size, wanted=Filter(**wanted)))
