"""Rows that do not fit what their case seals: refused, and an alarm each time one is met."""

import logging
from typing import Final
from uuid import UUID

from common.sealed import RowAltered, SealRefused, SubjectKey
from referral.cases.repository.stored import outline_of

_log = logging.getLogger("hub.referral")
_REFERRAL: Final = "referral"
HEAD: Final = ("case_file", "head_ct")
"""What an outline's seal is bound to; it stays when a table or column is renamed."""


def altered(table: str, row: object) -> RowAltered:
    """Alarm, and give the refusal to raise. Somebody wrote into the database."""
    _log.error("a row was altered", extra={"alarm": "row-altered", "code": table})
    return RowAltered(table, row)


def demand_sender(
    key: SubjectKey | None, case_id: UUID, sealed_outline: bytes, referral_id: UUID, agency: str
) -> None:
    """Check that the case itself names the referral and its agency, and does not bar it.

    Without the key it names nobody.

    Raises RowAltered.
    """
    if key is None:
        raise altered(_REFERRAL, referral_id)
    try:
        outline = outline_of(key.open(*HEAD, case_id, sealed_outline))
    except SealRefused:
        raise altered(_REFERRAL, referral_id) from None
    if agency in outline.barred:
        raise altered("bar", case_id)
    if not outline.came_by(referral_id, agency):
        raise altered(_REFERRAL, referral_id)
