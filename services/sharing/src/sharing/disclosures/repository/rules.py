"""Reads the dated clocks and duties of answers."""

from importlib.resources import files

from sharing.disclosures.model.answers import AnswerBook


def answer_book(area: str) -> AnswerBook:
    """Read the dated clocks and duties of answers that are shipped with this service."""
    folder = files("sharing") / "disclosures" / "rules"
    texts = [one.read_text("utf-8") for one in folder.iterdir() if one.name.endswith(".toml")]
    return AnswerBook(area, texts)
