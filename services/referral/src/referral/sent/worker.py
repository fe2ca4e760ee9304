"""At start, older referrals are given the index by which their sender finds them."""

import logging

from referral.sent.ports import References

_log = logging.getLogger("hub.referral")


class ReferenceIndex:
    """A part that has nothing left to do once it started.

    Migration 0005 has no keys, so it could index claimed references only. Those of urgent forms,
    and of full ones that complete them, are indexed here, before the service answers anybody.
    """

    def __init__(self, references: References) -> None:
        self._references = references

    async def start(self) -> None:
        """Index what has none, one bounded batch after the other."""
        after, indexed, unread = None, 0, 0
        while True:
            batch = await self._references.index_some(after)
            indexed, unread = indexed + batch.indexed, unread + batch.unread
            if batch.last is None:
                break
            after = batch.last
        if indexed:
            _log.info("older references indexed", extra={"count": indexed})
        if unread:
            _log.error("references that do not open are not indexed", extra={"count": unread})

    async def stop(self) -> None:
        """Do nothing: nothing is left running."""
