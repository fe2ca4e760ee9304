"""One telephone number is one number, however it was written down."""

import pytest

from hubformats.phones import contact_keys, numbers_in

HERS = frozenset({"+447700900461"})


@pytest.mark.parametrize(
    "written",
    [
        "07700 900461",
        "07700900461",
        "07700-900-461",
        "07700.900.461",
        "(07700) 900461",
        "077 00 90 04 61",
        "+44 7700 900461",
        "+44 (0)7700 900461",
        "+44 (0) 7700 900461",
        "+44(0)7700900461",
        "+4407700900461",
        "(+44) 7700 900461",
        "0044 7700 900461",
        "00 44 (0) 7700 900461",
        "447700900461",
        "tel:+447700900461",
        "07700\u00a0900461",
        "07700\u2011900461",
        "０７７００ ９００４６１",
        "07700 900461 ext 4",
        "07700 900461 (work)",
        "Mum: 07700 900461, after six",
    ],
)
def test_every_spelling_is_the_same_number(written: str) -> None:
    assert contact_keys(written) == HERS


@pytest.mark.parametrize("other", ["07700 900462", "+353 7700 900461", "01632 960283", "900461"])
def test_another_number_stays_another(other: str) -> None:
    assert not contact_keys(other) & HERS


def test_numbers_of_the_demo_count_though_nobody_has_them() -> None:
    for drama in ("01632 960283", "020 7946 0018", "0161 496 0123", "0808 157 0192"):
        assert len(numbers_in(drama)) == 1


def test_all_numbers_of_a_text_are_found() -> None:
    both = {"+447700900461", "+447700900462"}
    for text in ("07700900461 or 07700900462", "07700900461/07700900462"):
        assert contact_keys(text) == both


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Marta@Mail.Example", "marta@mail.example"),
        ("12 High Street", "12, high street".replace(",", "")),
        ("@marta.q", "@Marta.Q"),
        ("Any time", "any-time"),
        ("999", "9 9 9"),
    ],
)
def test_what_is_no_number_is_compared_as_text(one: str, other: str) -> None:
    assert contact_keys(one) == contact_keys(other)
    assert not numbers_in(one)


def test_digits_of_a_mail_address_are_no_number() -> None:
    mail = contact_keys("marta07700900461@mail.example")
    assert not mail & HERS
    assert contact_keys("07700 900461, marta07700900461@mail.example") == mail | HERS


@pytest.mark.parametrize("empty", ["", "   ", "-", None, 0])
def test_there_is_always_something_to_compare(empty: object) -> None:
    assert len(contact_keys(empty)) == 1
