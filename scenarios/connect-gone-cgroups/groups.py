#!/usr/bin/env python3
"""Control groups that live for one connection attempt, as those of batch jobs do, and one that stays.

Prints as OpenMetrics how many attempts were made in groups that are gone, and in the one that stays.
"""

import errno
import os
import socket
import time

ROOT = "/sys/fs/cgroup"
BATCHES, GROUPS = 4, 5
# Longer than the daemon takes to notice that a group is gone.
BATCH_SECONDS = 11


def attempt_in(group):
    """A process of its own joins the group, is refused once, and ends."""
    child = os.fork()
    if child == 0:
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0\n")
        with socket.socket() as one:
            os._exit(0 if one.connect_ex(("127.0.0.1", 9)) == errno.ECONNREFUSED else 1)
    assert os.waitpid(child, 0)[1] == 0


def main():
    stays = f"{ROOT}/stays"
    os.mkdir(stays)
    for batch in range(BATCHES):
        attempt_in(stays)
        for number in range(GROUPS):
            group = f"{ROOT}/job-{batch}-{number}"
            os.mkdir(group)
            attempt_in(group)
            os.rmdir(group)
        time.sleep(BATCH_SECONDS)
    print("# TYPE groups_attempts counter")
    print(f'groups_attempts_total{{cgroup="(gone)"}} {BATCHES * GROUPS}')
    print(f'groups_attempts_total{{cgroup="/stays"}} {BATCHES}')
    print("# EOF")


main()
