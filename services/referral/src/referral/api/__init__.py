"""Referral's HTTP routes, room by room: intake and reading, markings, and what other services
ask."""

from referral.api import lists, markings, referrals, release

ROUTERS = (referrals.router, markings.router, lists.router, release.router)
