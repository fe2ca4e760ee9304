"""Agreements, as the API shows them."""

from common.models import ApiModel


class ObligationOut(ApiModel):
    """What a recipient undertakes."""

    code: str
    text: str


class ClauseOut(ApiModel):
    """One clause, in words and in effect."""

    id: str
    title: str
    text: str
    purpose: str
    necessity: str
    gateway: str
    recipient_types: list[str]
    categories: list[str]
    essential: list[str]
    obligations: list[ObligationOut]
    lawful_basis: dict[str, dict[str, str]]


class AgreementOut(ApiModel):
    """A sharing agreement as it is in force. `rules` is the text that decides."""

    id: str
    version: str
    hash: str
    title: str
    area: str
    effective_from: str
    review_by: str
    lapsed: bool
    owner: str
    parties: list[str]
    clauses: list[ClauseOut]
    vetoes: dict[str, str]
    rules: dict[str, str]


class AgreementsOut(ApiModel):
    """All agreements this hub decides by."""

    items: list[AgreementOut]
