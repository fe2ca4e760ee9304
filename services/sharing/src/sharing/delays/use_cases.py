"""Tell an agency what has not left yet, though it may be told."""

from typing import Any

from common.access import Granted
from hubformats.audit_record import Actor, AuditEntry
from sharing.context import Store, Writing
from sharing.delays.model import Delays
from sharing.delays.ports import DelayView


async def delays_of(store: Store[Any, DelayView], granted: Granted, actor: Actor) -> Delays:
    """Count what waits for its entry in the audit log, to the agency and of its referrals.

    It is never refused for the age of the log's backlog. When the log does not answer, somebody
    must see this. A look that shows something is recorded before it is answered. That is in this
    service's own database, which does not wait for the log.
    """
    found = await store.read(lambda view: view.delays.delays(granted))
    if found.total:
        entry = AuditEntry(
            operation="consultation",
            outcome="done",
            actor=actor,
            resource_type="delayed-deliveries",
            count=found.total,
        )
        await store.write(lambda tx: _record(tx, entry))
    return found


def _record(tx: Writing, entry: AuditEntry) -> None:
    tx.record(entry)
