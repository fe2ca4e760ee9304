"""Texts that people send, wherever they stand: seen by a person, or refused."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from audit.questions.schemas import QuestionIn
from identity.agencies.schemas import SuspensionIn
from referral.cases.schemas import MustNotDiscloseIn
from sharing.disclosures.schemas import EmergencyIn

TEXTS: tuple[tuple[type[BaseModel], str, dict[str, Any]], ...] = (
    (SuspensionIn, "note", {"reasonCode": "exercise"}),
    (MustNotDiscloseIn, "reason", {}),
    (EmergencyIn, "reason", {"code": "imminent_danger_to_life"}),
    (
        QuestionIn,
        "justification",
        {"purpose": "verify_lawfulness", "filter": {"recipient": "northmoor-idva"}},
    ),
)


@pytest.mark.parametrize(("model", "name", "rest"), TEXTS)
def test_a_reason_shows_what_was_hidden_in_it(
    model: type[BaseModel], name: str, rest: dict[str, Any]
) -> None:
    read = model.model_validate({**rest, name: "He waits\r\noutside \u202e\x1b[2J"})
    assert getattr(read, name) == "He waits\noutside ⟨U+202E⟩⟨U+001B⟩[2J"


@pytest.mark.parametrize(("model", "name", "rest"), TEXTS)
def test_a_reason_that_nobody_can_see_is_none(
    model: type[BaseModel], name: str, rest: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError, match="something that a person can see"):
        model.model_validate({**rest, name: "\u200b\u2060" * 10})
