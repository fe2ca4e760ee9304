"""What masking costs grows with the length of a form alone: letters read and comparisons made."""

import random
import string

import pytest

from hubformats.shield import Places, shield

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


HOSTILE = {
    "one letter": (fill("a" * (LIMIT - 1) + " "), ["a" * size for size in range(6, 300)]),
    "one-letter words": (fill("a "), ["b " * 150] * 200),
    "kinds of street": (fill("road street close "), ["road street close st avenue " * 11] * 200),
    "numbers and streets": (fill("1 a b c road "), []),
    "encoded in layers": (fill("%25252541"), []),
    "entities in layers": (fill("&amp;#38;#65;"), []),
    "packed": (fill("Tlo5IDRRWA== "), []),
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


def test_twice_the_form_is_twice_the_work() -> None:
    once = steps(ordinary(), ordinary())
    twice = steps([*ordinary(), *(f"{text} more" for text in ordinary())], ordinary())
    assert twice <= 2.2 * once
