"""Seals the rows that were written before rows had seals, once: docs/decisions/0019."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from sqlalchemy import Connection, select, update

from common.database import Unit
from common.web.frame import Frame
from hubformats.envelope import digest
from sharing.disclosures.repository.rows import CASE, DISCLOSURE, OWN
from sharing.tables import CASE_SEALED, DELIVERY, RowSeals

_AT_A_TIME: Final = 500
_SEALED: Final = "rows-are-sealed"
"""A secret whose being there is the mark that no row is without a seal."""
Sealing = tuple[str, Callable[[Connection, RowSeals], int]]
"""Such a mark, and what seals the rows without a seal until it is set."""


class OlderRows:
    """A Part that starts first and, once in a keyring's life, seals what older versions wrote.

    From then on a row without a seal is refused like one with a wrong seal. If we crash between the
    rows and the mark, nothing is left to seal. The next start then sets the mark.
    """

    def __init__(self, frame: Frame, seals: RowSeals, further: Sequence[Sealing] = ()) -> None:
        """`further` are tables whose rows got seals later, each with a mark of its own."""
        self._frame = frame
        self._seals = seals
        self._sealings = ((_SEALED, seal_older_rows), *further)

    async def start(self) -> None:
        """Seal them unless the keyring says that it was done."""
        await self._frame.open_database()
        keyring = self._frame.keyring
        for mark, seal_older in self._sealings:
            if keyring.known(mark) is None:
                await self._frame.database.write(partial(_within, seal_older, self._seals))
                keyring.secret(mark)

    async def stop(self) -> None:
        """Do nothing: nothing is left running."""


def _within(seal_older: Callable[[Connection, RowSeals], int], seals: RowSeals, unit: Unit) -> int:
    return seal_older(unit.connection, seals)


def seal_older_rows(connection: Connection, seals: RowSeals) -> int:
    """Seal every row without a seal as it stands; how many.

    Until now nothing bound them, so nothing is lost by believing them once more. What is opened
    of them is still compared with the sealed decision and the log's record.
    """
    kinds = (
        (CASE, CASE_SEALED, seals.case),
        (DISCLOSURE, OWN, seals.disclosure),
        (DELIVERY, tuple(c.key for c in DELIVERY.c if c.key != "row_seal"), seals.delivery),
    )
    done = 0
    for table, names, seal in kinds:
        key = list(table.primary_key)
        older = select(table).where(table.c.row_seal.is_(None)).limit(_AT_A_TIME)
        while rows := connection.execute(older).mappings().all():
            for row in rows:
                said = {name: row[name] for name in names}
                if "envelope" in said:
                    said["envelope"] = digest(said["envelope"])
                this = [column == row[column.key] for column in key]
                connection.execute(update(table).where(*this).values(row_seal=seal.of(said)))
            done += len(rows)
    return done
