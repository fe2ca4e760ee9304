"""Run the identity service alone."""

from common.web.run import run_service
from identity.wiring import build

if __name__ == "__main__":
    run_service("identity", build)
