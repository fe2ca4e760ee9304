"""Holds many connections to a port with half a head each: `python half_open.py PORT NUMBER`.

Whichever is closed is opened again a second later. A line is printed when all have been opened.
"""

import select
import socket
import sys
import time

_HALF = b"POST /referral/v1/referrals HTTP/1.1\r\nHost: x\r\nX-Half: "


def main(port: int, number: int) -> None:
    """Hold them until the process is ended."""
    held: dict[int, socket.socket] = {}
    due = [0.0] * number
    poll, opened = select.poll(), 0
    while True:
        while due and due[0] <= time.monotonic():
            due.pop(0)
            one = socket.create_connection(("127.0.0.1", port), timeout=10)
            one.send(_HALF)
            held[one.fileno()] = one
            poll.register(one, select.POLLIN)
            opened += 1
            if opened == number:
                sys.stdout.write("open\n")
                sys.stdout.flush()
        for closed, _ in poll.poll(100):
            poll.unregister(closed)
            held.pop(closed).close()
            due.append(time.monotonic() + 1)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
