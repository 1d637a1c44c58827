#!/usr/bin/env python3
"""Begins connections without a pause while the answers to earlier ones come in by interrupt, and counts them.

Every answer comes at another moment, so some of them come while the probe is at work on a beginning.
"""

import errno
import select
import socket
import subprocess

SERVER = ("10.9.0.2", 7000)
ROUNDS, AT_ONCE = 30, 100
# A round begins its connections within about this time.
LINK = "delay 2ms 2ms"


def round_of_connections():
    sockets = [socket.socket() for _ in range(AT_ONCE)]
    for one in sockets:
        one.setblocking(False)
        error = one.connect_ex(SERVER)
        assert error == errno.EINPROGRESS, error
    poll = select.poll()
    for one in sockets:
        poll.register(one, select.POLLOUT)
    waiting = {one.fileno(): one for one in sockets}
    while waiting:
        for descriptor, _ in poll.poll():
            error = waiting.pop(descriptor).getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            assert error == 0, error
            poll.unregister(descriptor)
    for one in sockets:
        one.close()


def main():
    subprocess.run(f"tc qdisc replace dev lab0 root netem {LINK}".split(), check=True)
    for _ in range(ROUNDS):
        round_of_connections()
    print("# TYPE client_connects counter")
    print(f'client_connects_total{{outcome="success"}} {ROUNDS * AT_ONCE}')
    print("# EOF")


main()
