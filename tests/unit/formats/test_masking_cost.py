"""What masking costs grows with the length of a form alone: letters read and comparisons made."""

import base64
import random
import string

import pytest

from hubformats.shield import Places, shield
from hubformats.withheld_values import Sort, Value, values_mask

SIZE = 24_000
LIMIT = 8_000
A_FEW = 5
"""Times as many steps for each letter as an ordinary text of the same size."""


def fill(piece: str) -> list[str]:
    """Texts of the longest kind that together are SIZE characters of this piece."""
    text = (piece * (SIZE // len(piece) + 1))[:SIZE]
    return [text[at : at + LIMIT] for at in range(0, SIZE, LIMIT)]


def ordinary() -> list[str]:
    chance = random.Random(8)
    words = [
        "he",
        "said",
        "she",
        "went",
        "with",
        "her",
        "sister",
        "while",
        "police",
        "took",
        "nine",
        "calls",
        "from",
        "14",
        "to",
        "22",
    ]
    return fill(" ".join(chance.choice(words) for _ in range(2_000)) + " ")


def steps(texts: list[str], secrets: list[str] = [], told: list[str] = []) -> int:  # noqa: B006
    mask = shield(Places(secrets=secrets, told=told))
    for number, text in enumerate(texts):
        mask.clean(f"{text}{number}")
    return mask.steps


LAYERS = base64.b64encode(base64.b64encode(b"NZ9 4QX, NZ9 4QX").hex().encode()).decode() + " "
HOSTILE = {
    "one letter": (fill("a" * (LIMIT - 1) + " "), ["a" * size for size in range(6, 300)]),
    "one-letter words": (fill("a "), ["b " * 150] * 200),
    "kinds of street": (fill("road street close "), ["road street close st avenue " * 11] * 200),
    "numbers and streets": (fill("1 a b c road "), []),
    "encoded in layers": (fill("%25252541"), []),
    "entities in layers": (fill("&amp;#38;#65;"), []),
    "packed": (fill("Tlo5IDRRWA== "), []),
    "packed in layers": (fill(LAYERS), []),
    "hexadecimal in groups": (fill("4e 5a 39 20 34 51 58 "), []),
    "octal and braces": (fill(r"\116\u{5a}=39"), []),
    "letters for figures": (fill("O77OO 9OO123 "), []),
    "grid letter by letter": (fill("S J 8 4 5 9 8 1 "), []),
    "postcodes": (fill("NZ9 4QX "), ["NZ9 4QX " * 37] * 200),
    "hidden characters": (fill("N\u200bZ\u200b9"), []),
    "letters that stand for sentences": (fill("\ufdfa"), ["\ufdfa" * 299]),
    "numbers of schools": (fill("number 1 "), ["1 school 2 school " * 16] * 200),
    "all of it secret": (ordinary(), ordinary()),
    "every pair of letters": (
        fill(string.ascii_lowercase),
        [f"{a}{b}{c} {b}{a}" * 9 for a in "abcdefgh" for b in "abcdefgh" for c in "abc"],
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_form_made_to_be_slow_costs_a_few_times_an_ordinary_one(name: str) -> None:
    texts, secrets = HOSTILE[name]
    usual = steps(ordinary(), ["17 Larkspur Wynd", "NZ9 4QX"])
    assert steps(texts, secrets, texts if not secrets else []) <= A_FEW * usual


@pytest.mark.parametrize(
    "piece", ["A1-", "with Ola ", "07700 900123 ", "born 7.3.94 ", "a@", "NZ9 4QX, "]
)
def test_what_an_account_withholds_is_found_in_steps_that_grow_with_its_length(piece: str) -> None:
    def withheld(times: int) -> int:
        mask = values_mask(Value(Sort.ITEMS, f"{text}, b@{times}") for text in fill(piece) * times)
        assert mask is not None
        for number, text in enumerate(ordinary() * times):
            mask.clean(f"{text}{number}")
        return mask.steps

    assert withheld(2) <= 2.2 * withheld(1)


def test_twice_the_form_is_twice_the_work() -> None:
    once = steps(ordinary(), ordinary())
    twice = steps([*ordinary(), *(f"{text} more" for text in ordinary())], ordinary())
    assert twice <= 2.2 * once
