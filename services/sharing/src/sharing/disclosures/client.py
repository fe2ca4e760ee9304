"""Asks referral for vetoes at the last moment."""

import logging
from collections.abc import Mapping, Sequence
from uuid import UUID

from pydantic import ValidationError

from common.events.case import Marking
from common.web.client import CallFailed, ProblemAnswer, ServiceClient, TokenRefused
from hubformats.canonical import CanonicalError, parse
from hubformats.clock import Clock
from sharing.disclosures.ports import CaseState

_log = logging.getLogger("hub.sharing")
_SUBJECTS = 200


class ReferralChecks:
    """Calls `POST referral /v1/release-checks`; fulfils `ports.ReleaseChecks`.

    Nothing is remembered between two calls.
    """

    def __init__(self, client: ServiceClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def check(
        self, case_id: UUID, version: int, subjects: Sequence[UUID]
    ) -> CaseState | None:
        """Return referral's answer of this moment.

        None for anything that is not a whole answer about this case.
        """
        asked = self._clock.monotonic()
        question = {
            "caseId": str(case_id),
            "snapshotVersion": version,
            "subjectIds": [str(one) for one in subjects[:_SUBJECTS]],
        }
        try:
            answer = await self._client.call(
                "POST", "/v1/release-checks", scope="case.read", json=question
            )
            return _state(parse(answer.content), case_id, asked)
        except (
            CallFailed,
            ProblemAnswer,
            TokenRefused,
            CanonicalError,
            ValidationError,
            TypeError,
            KeyError,
        ) as error:
            _log.warning("release check without answer", extra={"error": type(error).__name__})
            return None


def _state(answer: Mapping[str, object], case_id: UUID, asked: float) -> CaseState | None:
    version, vetoes = answer["snapshotVersion"], answer["vetoes"]
    if answer["caseId"] != str(case_id) or type(version) is not int or not isinstance(vetoes, list):
        return None
    return CaseState(version, tuple(Marking.model_validate(veto) for veto in vetoes), asked)
