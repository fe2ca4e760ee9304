"""Shapes of the public log and of the operator's search rows."""

from common.models import ApiModel


class GenesisOut(ApiModel):
    """Entry 0, which hides nothing: with the bootstrap file anybody can recompute its leaf.

    Binary fields are base64url.
    """

    record: str
    salt: str
    leaf: str


class CheckOut(ApiModel):
    """Entries whose search rows are not what the entry says; at most a hundred are named."""

    entries: int
    different: int
    first: tuple[int, ...]


class RebuildOut(ApiModel):
    """How many entries were indexed anew."""

    entries: int
