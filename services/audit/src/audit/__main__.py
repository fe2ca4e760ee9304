"""Run the audit service alone."""

from audit.wiring import build
from common.web.run import run_service

if __name__ == "__main__":
    run_service("audit", build)
