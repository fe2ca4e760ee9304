"""Asks referral for vetoes at the last moment."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from common.events.case import Marking
from common.web.client import ServiceClient, TokenSource
from common.web.frame import Frame
from hubformats.answers import CallFailed, ProblemAnswer, TokenRefused
from hubformats.bootstrap import SERVICE_KEY
from hubformats.canonical import CanonicalError, parse
from hubformats.clock import Clock
from hubformats.keys import generate_signing
from sharing.context import SERVICE
from sharing.disclosures.ports import CaseState

_log = logging.getLogger("hub.sharing")
_SUBJECTS: Final = 200
_CASES: Final = 200
T = TypeVar("T")


class ReferralChecks:
    """Calls `POST referral /v1/release-checks` and `…-batches`; fulfils `ports.ReleaseChecks`.

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
        question = {
            "caseId": str(case_id),
            "snapshotVersion": version,
            "subjectIds": [str(one) for one in subjects[:_SUBJECTS]],
        }
        return await self._ask(
            "/v1/release-checks", question, lambda answer, asked: _state(answer, case_id, asked)
        )

    async def check_all(self, case_ids: Collection[UUID]) -> Mapping[UUID, CaseState] | None:
        """Return referral's answers of this moment, asked for so many cases at a time.

        None when any of the answers is not whole.
        """
        found: dict[UUID, CaseState] = {}
        wanted = sorted(case_ids)
        for start in range(0, len(wanted), _CASES):
            part = wanted[start : start + _CASES]
            answer = await self._ask(
                "/v1/release-check-batches",
                {"caseIds": [str(one) for one in part]},
                _states,
            )
            if answer is None or not answer.keys() <= set(part):
                return None
            found |= answer
        return found

    async def _ask(
        self, path: str, question: Mapping[str, Any], read: Callable[[Any, float], T | None]
    ) -> T | None:
        asked = self._clock.monotonic()
        try:
            answer = await self._client.call("POST", path, scope="case.read", json=question)
            return read(parse(answer.content), asked)
        except (
            CallFailed,
            ProblemAnswer,
            TokenRefused,
            CanonicalError,
            ValueError,
            TypeError,
            KeyError,
        ) as error:
            _log.warning("release check without answer", extra={"error": type(error).__name__})
            return None


def _states(answer: Mapping[str, Any], asked: float) -> dict[UUID, CaseState] | None:
    found: dict[UUID, CaseState] = {}
    for each in answer["cases"]:
        case_id = UUID(each["caseId"])
        state = _state(each, case_id, asked)
        if state is None:
            return None
        found[case_id] = state
    return found


def _state(answer: Mapping[str, Any], case_id: UUID, asked: float) -> CaseState | None:
    version, vetoes = answer["snapshotVersion"], answer["vetoes"]
    if answer["caseId"] != str(case_id) or type(version) is not int or not isinstance(vetoes, list):
        return None
    return CaseState(version, tuple(Marking.model_validate(veto) for veto in vetoes), asked)


def referral_of(frame: Frame) -> ServiceClient:
    """Make the client that asks referral in this service's name."""
    settings, http, clock = frame.settings, frame.http, frame.clock
    tokens = TokenSource(
        settings.issuer,
        "svc-sharing",
        signing=frame.keyring.signing_key(SERVICE_KEY),
        dpop_key=generate_signing(SERVICE),
        http=http,
        clock=clock,
    )
    return ServiceClient(settings.referral_url, tokens, http=http, clock=clock)
