"""Why a referral is not taken in."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True)
class FormFault:
    """One thing wrong with a form: where, and a fixed sentence that quotes no input."""

    pointer: str
    sentence: str


class FormRefused(ValueError):
    """The form says something that cannot be."""

    def __init__(self, *faults: FormFault) -> None:
        super().__init__("form-refused")
        self.faults = faults


class ReferenceExists(ValueError):
    """The agency claimed this external reference for another referral of its own."""

    def __init__(self, referral_id: UUID) -> None:
        super().__init__("external-reference-exists")
        self.referral_id = referral_id


class AlreadyCompleted(ValueError):
    """This very form completed the urgent referral before, and became `referral_id`."""

    def __init__(self, referral_id: UUID) -> None:
        super().__init__("already-completed")
        self.referral_id = referral_id


class TooLarge(ValueError):
    """The form holds more text than can be sealed to each recipient."""


class RefusedIntakeNotFound(LookupError):
    """The desk has no open alarm of this id."""
