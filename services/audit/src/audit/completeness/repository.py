"""The producers' sequences from their tables."""

from sqlalchemy import Connection, select

from audit.completeness.model import Board, Producer
from audit.tables import EPOCH, GAP, LOG_STATE, PRODUCER
from common.database import Database


class SqlBoardStore:
    """Fulfils `BoardStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def board(self) -> Board:
        """Read every producer epoch with its gaps, on one snapshot with the log's size."""
        return await self._database.read(_board)


def _board(connection: Connection) -> Board:
    gaps: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for row in connection.execute(
        select(GAP.c.src, GAP.c.ep, GAP.c.first, GAP.c.last).order_by(GAP.c.first)
    ):
        gaps.setdefault((row.src, row.ep), []).append((row.first, row.last))
    known = (
        select(PRODUCER.c.service, EPOCH.c.src, EPOCH.c.ep, EPOCH.c.highest, EPOCH.c.heard)
        .join(EPOCH, EPOCH.c.src == PRODUCER.c.src)
        .order_by(PRODUCER.c.service, EPOCH.c.src, EPOCH.c.ep)
    )
    producers = tuple(
        Producer(*row, gaps=tuple(gaps.get((row.src, row.ep), ())))
        for row in connection.execute(known)
    )
    size = connection.execute(select(LOG_STATE.c.size)).scalar_one_or_none() or 0
    return Board(producers, size)
