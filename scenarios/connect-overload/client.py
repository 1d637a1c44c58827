#!/usr/bin/env python3
"""Fills everything that the probe keeps attempts in, and says as OpenMetrics what must be counted and what lost.

The probe has room for 8 attempts that wait, for 3 series, and for 39 events: 4095 bytes hold 39 times 96 and a header
of 8 each.
"""

import errno
import socket
import time

import daemon

PENDING, SERIES, EVENTS = 8, 3, 39
BLACKHOLE = ("10.9.2.7", 7000)
REFUSED, REFUSED_AGAIN, WAITING, BEYOND_SERIES = 20, 60, 40, 5
PAUSE_SECONDS = 1.5  # for the daemon to empty the ring buffer, which it does every second


def refused(family, address, times):
    with daemon.stopped():
        for _ in range(times):
            with socket.socket(family) as one:
                error = one.connect_ex((address, 9))
                assert error == errno.ECONNREFUSED, error
    time.sleep(PAUSE_SECONDS)


def waiting(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.setblocking(False)
        error = one.connect_ex(BLACKHOLE)
        assert error == errno.EINPROGRESS, error
    for one in sockets:
        one.close()


def accepted():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())


def main():
    refused(socket.AF_INET, "127.0.0.1", REFUSED)
    refused(socket.AF_INET, "127.0.0.1", REFUSED_AGAIN)
    waiting(WAITING)
    # What was closed makes room.
    waiting(1)
    # The third series; nothing more has room.
    accepted()
    refused(socket.AF_INET6, "::1", BEYOND_SERIES)
    lost = {
        "map_full": WAITING - PENDING,
        "series_full": BEYOND_SERIES,
        "ring_full": REFUSED_AGAIN - EVENTS,
        "no_end": 0,
    }
    print("# TYPE client_lost counter")
    for reason, count in lost.items():
        print(f'client_lost_total{{reason="{reason}"}} {count}')
    print("# TYPE client_connects counter")
    print(f'client_connects_total{{outcome="refused"}} {REFUSED + REFUSED_AGAIN}')
    print(f'client_connects_total{{outcome="aborted"}} {PENDING + 1}')
    print("# TYPE client_ends_of_lost counter")
    print(f"client_ends_of_lost_total {WAITING - PENDING}")
    print("# TYPE client_series gauge")
    print(f"client_series {SERIES}")
    print("# EOF")


main()
