"""The portal's pages, room by room."""

from portal.api import assets, auditor, deliveries, emergency, sign_in

ROUTERS = (sign_in.router, deliveries.router, emergency.router, auditor.router, assets.router)
