"""Sharing's HTTP routes, room by room: the agency's inbox, previews and agreements, and releases
with the desk's view of them."""

from sharing.api import agreements, inbox, releases

ROUTERS = (inbox.router, inbox.deliveries, agreements.router, agreements.decisions, releases.router)
