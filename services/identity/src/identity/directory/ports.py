"""What closing and opening topics needs from the broker."""

from typing import Protocol


class TopicAccessUnavailable(Exception):
    """The broker did not answer, or refused; which topics are closed is not known.

    Carries no text of the broker.
    """


class TopicAccess(Protocol):
    """The agencies' own topics at the broker.

    A closed one cannot be read by its agency, whatever rights it has there.
    """

    async def closed(self) -> frozenset[str]:
        """List agencies whose topic is closed. Raises TopicAccessUnavailable."""
        ...

    async def close(self, agency: str) -> None:
        """Close it; returns when the broker has taken the rule.

        Closing twice changes nothing.

        Raises TopicAccessUnavailable.
        """
        ...

    async def open(self, agency: str) -> None:
        """Take that rule away again; opening twice changes nothing.

        Raises TopicAccessUnavailable.
        """
        ...
