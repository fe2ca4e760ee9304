"""Codes for the law a disclosure stands on (domain reference 4.3). They are the same in a referral
and in a sharing agreement."""

from typing import Literal

Basis = Literal[
    "6c",
    "6d",
    "6e",
    "6ea_crime",
    "6ea_safeguarding",
    "6ea_emergency",
    "6ea_public_request",
    "6f",
    "6a",
    "P3_necessary",
    "P3_consent",
]
"""UK GDPR Article 6(1), or DPA 2018 Part 3 section 35(2)."""

Condition = Literal[
    "9c", "9f", "9g_para18", "9g_para10", "9g_para6", "9h", "sch8_safeguarding", "none"
]
"""UK GDPR Article 9(2) with DPA 2018 Schedule 1, or Schedule 8; `none` where none is needed."""

Gateway = Literal[
    "CDA115",
    "CA2014_42",
    "ChA2004_10",
    "ChA2004_11",
    "ChA2004_16LA",
    "ChA1989_47",
    "VPA2024_13",
    "common_law",
]
"""Powers and duties that a referrer may name. An agreement's clause may name more."""
