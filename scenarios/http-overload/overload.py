#!/usr/bin/env python3
"""More than the probe has room for, and what it must make of it.

Three shortages, one after the other: more connections than the map has entries (against a real server), more bytes
for user space than its ring buffer holds (crafted frames, sent while the daemon is stopped), and more pairs
of method and status than there are histograms (crafted frames). What was asked is counted here; what was answered by
the real server is taken from its own log.

    overload.py --interface lab1 --server 10.7.0.1:8000 --entries 4 --log server.jsonl --truth overload.om
"""

import argparse
import collections
import json
import socket
import time

import daemon
from wire import ACK, OK, RST, Connection, Truth, Wire

# Time for the probe's user-space half to take what waits for it.
PAUSE_SECONDS = 0.1


class Overload:
    """What was asked, and which lost packets were no request."""

    def __init__(self):
        self.asked = collections.Counter()
        self.lost_without_request = 0
        self.lost_for_want_of_an_entry = 0

    def text(self):
        lines = ["# TYPE overload_asked counter"]
        lines += [f'overload_asked_total{{http_request_method="{method}"}} {count}'
                  for method, count in sorted(self.asked.items())]
        for name, value in (
            ("overload_lost_without_request", self.lost_without_request),
            ("overload_lost_for_want_of_an_entry", self.lost_for_want_of_an_entry),
        ):
            lines += [f"# TYPE {name} counter", f"{name}_total {value}"]
        return "\n".join(lines) + "\n# EOF\n"


class Client:
    """A keep-alive connection to the real server."""

    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.name = "%s:%d" % self.socket.getsockname()
        self.file = self.socket.makefile("rb")

    def ask(self, method, status):
        self.socket.sendall(f"{method} /status/{status} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        length = 0
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        self.file.read(length)

    def close(self):
        self.socket.shutdown(socket.SHUT_WR)
        self.file.read()
        self.socket.close()


def full_map(address, entries, log, overload):
    """Whoever comes when the map is full asks by POST, and nobody else does."""
    followed = [Client(address) for _ in range(entries)]
    beyond = [Client(address) for _ in range(3)]
    for status in (200, 404, 503, 200, 200):
        for client in followed:
            client.ask("GET", status)
        for client in beyond:
            client.ask("POST", status)
    for client in followed:
        client.close()
    # There is room again: the same connections are followed from their next request on.
    for status in (200, 500):
        for client in beyond:
            client.ask("GET", status)
    for client in beyond:
        client.close()
    with open(log, encoding="ascii") as file:
        answered = collections.Counter(json.loads(line)["method"] for line in file)
    overload.asked.update(answered)
    # Each of them lost its SYN, and every request while there was no room.
    overload.lost_without_request += len(beyond)
    overload.lost_for_want_of_an_entry += len(beyond) + answered["POST"]


def full_ring(wire, overload):
    """Requests that only user space can follow, while it cannot run."""
    put = b"PUT / HTTP/1.1\r\nContent-Length: 0\r\nX-Padding: " + b"x" * 100 + b"\r\n\r\n"
    crowded, untold = Connection(wire), Connection(wire)
    with daemon.stopped():
        for _ in range(60):
            crowded.segment(True, put)
        # By now the ring is full. What the kernel half knows of this one never reaches user space.
        for _ in range(9):
            untold.segment(True, put)
        untold.segment(True, b"", RST | ACK)
        # With much to do the kernel leaves what arrives to a thread, which needs its turn.
        time.sleep(PAUSE_SECONDS)
    overload.asked["PUT"] += 60 + 9
    overload.lost_without_request += 1
    time.sleep(PAUSE_SECONDS)
    for _ in range(6):
        crowded.answer(OK * 10)
        time.sleep(PAUSE_SECONDS)
    # The same connection is followed again.
    for _ in range(5):
        crowded.ask(b"DELETE / HTTP/1.1\r\n\r\n")
        crowded.answer(OK)
        time.sleep(PAUSE_SECONDS)
    crowded.close()
    overload.asked["DELETE"] += 5
    time.sleep(PAUSE_SECONDS)


def full_histograms(wire, overload):
    connection = Connection(wire)
    for method, statuses in (("PATCH", range(205, 600)), ("OPTIONS", range(305, 600))):
        for status in statuses:
            connection.ask(b"%s / HTTP/1.1\r\n\r\n" % method.encode())
            connection.answer(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
            overload.asked[method] += 1
    connection.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interface", required=True, help="where frames are sent")
    parser.add_argument("--server", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--entries", required=True, type=int, help="connections the probe can follow at once")
    parser.add_argument("--log", required=True, help="the server's exchange log")
    parser.add_argument("--truth", required=True, help="where to write what was asked")
    arguments = parser.parse_args()
    address, port = arguments.server.rsplit(":", 1)
    overload = Overload()
    wire = Wire(arguments.interface, Truth())
    full_map((address, int(port)), arguments.entries, arguments.log, overload)
    full_ring(wire, overload)
    full_histograms(wire, overload)
    with open(arguments.truth, "w", encoding="ascii") as file:
        file.write(overload.text())


if __name__ == "__main__":
    main()
