"""Shapes of the completeness board."""

from typing import Literal

from common.models import ApiModel, Timestamp


class GapOut(ApiModel):
    """Numbers of a producer's sequence that never arrived, both ends included."""

    first: int
    last: int


class ProducerOut(ApiModel):
    """One producer epoch.

    `silent` when it has not been heard for three minutes although it beats every minute.
    """

    service: str
    src: str
    epoch: int
    highest_seq: int
    last_heard: Timestamp
    silent: bool
    gaps: tuple[GapOut, ...]


class CompletenessOut(ApiModel):
    """Whether every producer's sequence is whole, and how far the log is signed and published."""

    verdict: Literal["complete", "gaps", "halted"]
    log_size: int
    signed_size: int
    published_size: int
    halted: str
    producers: tuple[ProducerOut, ...]
