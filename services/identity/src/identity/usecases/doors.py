"""A suspension reaches the broker: the agency's own topic is closed to it, and opened again when it is restored."""

from identity.ports import Doors, Store


async def settle(store: Store, doors: Doors) -> tuple[frozenset[str], frozenset[str]]:
    """Make the broker agree with who is suspended now; whose topic was closed and whose opened.

    Compares states instead of following events, so a crash, a broker that was away or a rule lost there is made good at the
    next call. Raises DoorsUnavailable; what was done before it stays done.
    """
    agencies = await store.read(lambda tx: tx.agencies())
    suspended = frozenset(agency.id for agency in agencies if agency.suspended_at is not None)
    found = await doors.closed()
    to_close = suspended - found
    # Not of an agency we do not know: such a rule is not ours to take away.
    to_open = (found - suspended) & frozenset(agency.id for agency in agencies)
    for agency in sorted(to_close):
        await doors.close(agency)
    for agency in sorted(to_open):
        await doors.open(agency)
    return to_close, to_open
