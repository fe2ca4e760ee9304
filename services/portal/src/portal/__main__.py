"""Run the portal alone."""

from common.web.run import run_service
from portal.wiring import build

if __name__ == "__main__":
    run_service("portal", build)
