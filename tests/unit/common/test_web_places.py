"""Where a refusal points: the documents' spelling of a path, and a misspelt name as it was typed."""

import pytest

from common.web.faults import faults, shown


def test_a_fault_in_the_path_is_named_as_the_documents_do() -> None:
    (fault,) = faults([{"type": "uuid_parsing", "loc": ("path", "referral_id")}], None)
    assert (fault.where, fault.pointer, fault.detail) == ("path", "/referralId", "must be a UUID")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("external_reference", "external_reference"),
        ("dryrun", "dryrun"),
        ("NP-2026-114207", "*"),
        ("marta 07700", "*"),
        ("x" * 41, "*"),
    ],
)
def test_a_misspelt_name_is_told_if_it_looks_like_a_fields(typed: str, told: str) -> None:
    assert shown(typed) == told
