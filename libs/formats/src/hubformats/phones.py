"""Compares ways of contact however they are written: numbers by what is dialled, other text by its
letters and digits."""

import re
import unicodedata
from typing import Final

from phonenumbers import Leniency, PhoneNumberFormat, PhoneNumberMatcher, format_number

from hubformats.visible_text import bare

HOME_REGION: Final = "GB"
"""Where a number without a country code is dialled from."""

_PUNCTUATION: Final = re.compile(r"[\s().-]")
_MAIL: Final = re.compile(r"\S+@\S+")


def numbers_in(text: str) -> frozenset[str]:
    """Find the telephone numbers in `text`, in E.164, such as +447700900461.

    Numbers of a possible length count, also those nobody has been given. A validity check would
    refuse the numbers that Ofcom keeps for drama. Short ones such as 999 do not count.
    """
    found = PhoneNumberMatcher(text, HOME_REGION, leniency=Leniency.POSSIBLE)
    return frozenset(format_number(match.number, PhoneNumberFormat.E164) for match in found)


def contact_keys(value: object) -> frozenset[str]:
    """Return what two spellings of one number or address have in common; never empty.

    The numbers and e-mail addresses in it, or else its whole text. Text is compared without case,
    spaces, brackets, dots and hyphens. Digits of an e-mail address are no number.
    """
    text = unicodedata.normalize("NFKC", bare(str(value))).casefold()
    mails = frozenset(_PUNCTUATION.sub("", mail) for mail in _MAIL.findall(text))
    found = numbers_in(_MAIL.sub(" ", text)) | mails
    return found or frozenset({_PUNCTUATION.sub("", text)})
