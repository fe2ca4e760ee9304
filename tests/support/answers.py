"""Answers by attempt in memory, as `common.web.idempotency` keeps them."""

from collections.abc import Callable
from dataclasses import replace

from common.attempts import Answer, Attempt
from common.problems import Problem

Answers = dict[bytes, tuple[bytes, Answer]]
"""By the attempt's id: what was asked, and what was answered."""


def once(answers: Answers, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
    """Give the stored answer, or that of `work`; refuse a key that was used for something else."""
    known = answers.get(attempt.id)
    if known is None:
        answers[attempt.id] = (attempt.request, work())
        return answers[attempt.id][1]
    request, answer = known
    if request != attempt.request:
        raise Problem("idempotency-key-reused")
    return replace(answer, replayed=True)
