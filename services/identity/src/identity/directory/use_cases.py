"""A suspension reaches the broker: the agency's own topic is closed to it.

It is opened again when the agency is restored.
"""

from identity.agencies.ports import AgencyStore
from identity.directory.ports import TopicAccess, TopicAccessUnavailable


async def settle(store: AgencyStore, access: TopicAccess) -> tuple[frozenset[str], frozenset[str]]:
    """Make the broker agree with who is suspended now. Returns whose topic was closed, and opened.

    Compares states instead of following events, so a crash, a broker that was away or a rule lost
    there is made good at the next call. One topic that cannot be closed or opened keeps no other
    from it. Raises TopicAccessUnavailable when any could not.
    """
    agencies = await store.read(lambda tx: tx.agencies.all())
    suspended = frozenset(agency.id for agency in agencies if agency.suspended_at is not None)
    found = await access.closed()
    to_close = suspended - found
    # Not of an agency we do not know: such a rule is not ours to take away.
    to_open = (found - suspended) & frozenset(agency.id for agency in agencies)
    failed: TopicAccessUnavailable | None = None
    for those, move in ((to_close, access.close), (to_open, access.open)):
        for agency in sorted(those):
            try:
                await move(agency)
            except TopicAccessUnavailable as unavailable:
                failed = unavailable
    if failed is not None:
        raise failed
    return to_close, to_open
