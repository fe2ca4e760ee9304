"""The invented area of Northmoor: its agencies, clients and people.

Everything here is made up; nobody real bears these names.
"""

from datetime import date
from typing import Final

from hubformats.bootstrap import Area, Mandate, Person

AREA: Final = Area(id="northmoor", name="Northmoor")

AGENCIES: Final[dict[str, tuple[str, str]]] = {
    "northmoor-police": ("Northmoor Police", "police"),
    "northmoor-idva": ("Northmoor IDVA Service", "idva_service"),
    "northmoor-social-care": ("Northmoor Children's Social Care", "childrens_social_care"),
    "northmoor-victim-support": ("Northmoor Victim Support", "victim_support"),
    "northmoor-probation": ("Northmoor Probation", "probation"),
    "northmoor-housing": ("Northmoor Housing", "housing_la"),
    "northmoor-health": ("Northmoor Community Health", "nhs_community"),
    "northmoor-school": ("Northmoor Academy", "education"),
}
"""Agency id → (name, type)."""

CUSTODIAL: Final = ("northmoor-idva", "northmoor-school")
"""Agencies without a system of their own: they use the portal, and the hub keeps their keys for
them.
"""

PEOPLE: Final = (
    Person(id="per-4QK7ZT2M", name="Amina Yusuf", agency="northmoor-idva", roles=("idva",)),
    Person(
        id="per-9BX3WD6H",
        name="Ruth Okafor",
        agency="northmoor-idva",
        roles=("idva", "idva_manager"),
    ),
    Person(
        id="per-2JN8RF5C", name="Tom Hallam", agency="northmoor-police", roles=("police_officer",)
    ),
    Person(
        id="per-6TV1PG9E",
        name="Jess Marlow",
        agency="northmoor-police",
        roles=("marac_coordinator",),
    ),
    Person(
        id="per-8MC5YA3K",
        name="Daniel Price",
        agency="northmoor-social-care",
        roles=("social_worker",),
    ),
    Person(
        id="per-3HW9SB7R",
        name="Helen Brook",
        agency="northmoor-school",
        roles=("safeguarding_lead",),
    ),
    Person(
        id="per-5ZD2QX8N",
        name="Priya Raman",
        agency="northmoor",
        roles=("auditor",),
        mandate=Mandate(
            granted_by="Northmoor Safeguarding Partnership",
            begins=date(2026, 1, 1),
            ends=date(2030, 12, 31),
        ),
    ),
    Person(id="per-1YB6LM8D", name="Owen Bright", agency="northmoor", roles=("privacy_officer",)),
    Person(id="per-6RK3UE9W", name="Grace Amadi", agency="northmoor", roles=("privacy_officer",)),
    Person(id="per-3TN5QJ8D", name="Leah Whitmore", agency="northmoor", roles=("privacy_officer",)),
    Person(id="per-7FE4VJ1T", name="Sam Whitlow", agency="northmoor", roles=("operator",)),
)

SYSTEM_SCOPES: Final = (
    "referral.write",
    "referral.read",
    "sharing.request",
    "sharing.respond",
    "disclosure.read",
    "disclosure.acknowledge",
    "audit.verify",
    "directory.read",
    "key.manage",
)
"""What an agency's own record system may ever ask for."""

PORTAL_SCOPES: Final = (
    "referral.write",
    "referral.read",
    "referral.triage",
    "risk.write",
    "case.read",
    "case.write",
    "contact.read",
    "sharing.request",
    "sharing.respond",
    "disclosure.read",
    "disclosure.acknowledge",
    "audit.read",
    "audit.verify",
    "directory.read",
    "agency.manage",
    "key.manage",
)
"""What the portal may ever ask for on somebody's behalf; the person's roles narrow it further."""

SERVICE_SCOPES: Final[dict[str, tuple[str, ...]]] = {
    "referral": ("audit.write", "audit.verify", "directory.read"),
    "sharing": ("audit.write", "audit.verify", "directory.read", "case.read"),
    "audit": ("audit.write", "audit.verify", "directory.read"),
    "identity": ("audit.write", "audit.verify", "directory.read"),
    "portal": ("audit.write", "audit.verify", "directory.read"),
}

OPERATOR_SCOPES: Final = ("agency.manage", "key.manage", "directory.read", "audit.verify")
AUDITOR_SCOPES: Final = ("audit.read", "audit.verify", "directory.read")

PORTAL_REDIRECT: Final = "{portal}/sign-in/callback"
LOG_ORIGIN: Final = "log.northmoor.example.org/hub"
