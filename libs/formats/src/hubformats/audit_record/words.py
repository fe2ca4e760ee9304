"""The words of a record: what was done and how it ended."""

from typing import Final, Literal

OperationV1 = Literal[
    # the six words of DPA 2018 s.62(1)
    "collection",
    "alteration",
    "consultation",
    "disclosure",
    "combination",
    "erasure",
    # what else must be seen (domain reference 7.2)
    "search",
    "export",
    "print",
    "login",
    "login_failed",
    "denied",
    "break_glass_open",
    "break_glass_close",
    "permission_change",
    "config_change",
    "key_destroy",
    "audit_query",
    "unseal",
    # what keeps the log itself complete (design section 9)
    "genesis",
    "heartbeat",
    "reconciliation",
    "rejected",
    "canary",
    # the later life of one disclosure, joined by `dl` (design section 8)
    "emergency_release",
    "resealed",
    "delivered",
    "saved",
    "acknowledged",
    "blocked",
]
Operation = Literal[
    OperationV1,
    # what one agency says to another, and what became of it
    "notice_sent",
    "alert_sent",
    "alert_failed",
    "request",
    "answer",
    "nil_return",
    "refusal",
    "not_shared",
    "correction",
    "withdrawal",
    "lapse",
    "release",
    "review",
    # what may be done with a case or a fact, and who said so
    "restrict",
    "hold_set",
    "hold_lifted",
    # casework
    "triage_decision",
    "risk_raised",
    "link",
    "split",
    "allocate",
    "hand_over",
    "escalate",
    # people's rights, and the rules of the hub
    "complaint",
    "rights_request",
    "agreement_published",
    "roster_changed",
    # a list was shown, which is no look at what stands on it (design section 9)
    "listing",
    # stands for nothing: it hides how many records a decision made (docs/audit-format.md)
    "cover",
]
Outcome = Literal["permit", "withhold", "done", "refused", "failed"]
Human = Literal["named", "instruction", "none"]
"""Who decided: a named person, a person's lawful instruction, or a rule alone."""

SIBLINGS: Final[frozenset[Operation]] = frozenset(
    {
        "disclosure",
        "correction",
        "withdrawal",
        "notice_sent",
        "emergency_release",
        "delivered",
        "resealed",
        "blocked",
    }
)
"""What the hub writes for several recipients at once, one record each: their number tells how many.
"""
OPERATIONS_V1: Final = frozenset[str](OperationV1.__args__)  # type: ignore[attr-defined]
OPERATIONS: Final = frozenset[str](Operation.__args__)  # type: ignore[attr-defined]
OUTCOMES: Final = frozenset[str](Outcome.__args__)  # type: ignore[attr-defined]
HUMANS: Final = frozenset[str](Human.__args__)  # type: ignore[attr-defined]
