"""Run the referral service alone."""

from common.web.run import run_service
from referral.wiring import build

if __name__ == "__main__":
    run_service("referral", build)
