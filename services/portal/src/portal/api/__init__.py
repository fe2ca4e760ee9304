"""The portal's pages, room by room."""

from portal.api import assets, auditor, deliveries, sign_in

ROUTERS = (sign_in.router, deliveries.router, auditor.router, assets.router)
