"""A suspension reaches the broker: the agency's own topic is closed to it, and opened again when it
is restored."""

from identity.ports import Doors, DoorsUnavailable, Store


async def settle(store: Store, doors: Doors) -> tuple[frozenset[str], frozenset[str]]:
    """Make the broker agree with who is suspended now; whose topic was closed and whose opened.

    Compares states instead of following events, so a crash, a broker that was away or a rule lost
    there is made good at the next call. One topic that cannot be closed or opened keeps no other
    from it. Raises DoorsUnavailable when any could not.
    """
    agencies = await store.read(lambda tx: tx.agencies())
    suspended = frozenset(agency.id for agency in agencies if agency.suspended_at is not None)
    found = await doors.closed()
    to_close = suspended - found
    # Not of an agency we do not know: such a rule is not ours to take away.
    to_open = (found - suspended) & frozenset(agency.id for agency in agencies)
    failed: DoorsUnavailable | None = None
    for those, move in ((to_close, doors.close), (to_open, doors.open)):
        for agency in sorted(those):
            try:
                await move(agency)
            except DoorsUnavailable as unavailable:
                failed = unavailable
    if failed is not None:
        raise failed
    return to_close, to_open
