"""What the completeness board reads."""

from typing import Protocol

from audit.completeness.model import Board


class BoardStore(Protocol):
    """The producers' sequences."""

    async def board(self) -> Board:
        """Read every producer epoch with its gaps, on one snapshot with the log's size."""
        ...
