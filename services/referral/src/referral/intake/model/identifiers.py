"""Check rules of public identifiers: NHS number, postcode (domain reference section 7)."""

import re

from common.models import FieldError

_POSTCODE = re.compile(r"^([A-Z]{1,2}\d[A-Z\d]?) ?(\d[A-Z]{2})$|^GIR ?0AA$", re.IGNORECASE)


def is_nhs_number(digits: str) -> bool:
    """Tell whether ten digits carry the check digit of an NHS number.

    It is modulus 11 with weights 10 to 2; a check of 10 is never issued.
    """
    if len(digits) != 10 or not digits.isascii() or not digits.isdigit():
        return False
    remainder = (
        11
        - sum(
            int(digit) * weight for digit, weight in zip(digits[:9], range(10, 1, -1), strict=True)
        )
        % 11
    )
    check = 0 if remainder == 11 else remainder
    return check == int(digits[9]) and check != 10


def is_postcode(text: str) -> bool:
    """Tell whether the text has the shape of a UK postcode.

    Shape only: looking it up would tell a third party.
    """
    return _POSTCODE.match(text.strip()) is not None


def written_nhs_number(value: str) -> str:
    """Write the number without its spaces. Raises FieldError for one with a wrong check digit."""
    plain = value.replace(" ", "")
    if not is_nhs_number(plain):
        raise FieldError("must be an NHS number: ten digits with a right check digit")
    return plain


def written_postcode(value: str) -> str:
    """Write the postcode in capitals with at most one space between parts. Raises FieldError."""
    if not is_postcode(value):
        raise FieldError("must be a postcode, or leave it out")
    return " ".join(value.upper().split())
