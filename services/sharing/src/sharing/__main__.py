"""Run the sharing service alone."""

from common.web.run import run_service
from sharing.wiring import build

if __name__ == "__main__":
    run_service("sharing", build)
