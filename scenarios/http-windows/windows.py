"""Reads the daemon at the edges of windows while requests are under way, and sets the wall clock meanwhile.

Each request must be counted once, in the window in which it ends, with its own length: as long as this client's monotonic
clock says at most, and at least as long as the server took. Two conversations over one link: the watched interface
receives the requests of one and the answers of the other. Which of the two carry stamps of the wall clock depends on the
kernel.
"""

import contextlib
import json
import socket
import time

from daemon import Daemon
from frames import Namespace
from sched import Families

SERVER, FAR_SERVER, NEAR_SERVER = ("10.7.0.1", 8000), ("10.7.0.2", 8002), ("10.7.0.1", 8003)
LOGS = "/lab/out"
COUNT = "http_server_request_duration_seconds_count"
SUM = "http_server_request_duration_seconds_sum"
IN_FLIGHT = "http_server_requests_in_flight"
# How old a stamp may be to be believed, and steps of less than that and of more.
FRESH_SECONDS = 0.001
LITTLE_STEPS_SECONDS = (0.0001, -0.0001, 0.0005, -0.0005, 0.0008, -0.0008, 0.002, -0.002)
LARGE_BYTES = 60_000


def there():
    """The other end of the link, where sockets are opened meanwhile."""
    return Namespace("generator")


def here():
    """The watched end."""
    return contextlib.nullcontext()


def step(seconds):
    """Sets the wall clock."""
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + seconds)


class Client:
    """A keep-alive connection whose requests may rest half-way."""

    def __init__(self, connection, log):
        self.connection, self.log = connection, log
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.name = "%s:%d" % connection.getsockname()
        self.number, self.start_ns, self.rest = 0, 0, b""

    def begin(self, target="/status/200"):
        self.rest = b"Host: x\r\n\r\n"
        self.start_ns = time.monotonic_ns()
        self.connection.sendall(b"GET %s HTTP/1.1\r\n" % target.encode())

    def ask_rest(self):
        self.connection.sendall(self.rest)

    def read(self, body_bytes=0):
        """The rest of the answer; how long the request took, in seconds."""
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.connection.recv(65536)
        body = len(answer.split(b"\r\n\r\n", 1)[1])
        while body < body_bytes:
            body += len(self.connection.recv(65536))
        end_ns = time.monotonic_ns()
        self.number += 1
        line = {"client": self.name, "n": self.number, "method": "GET", "status": 200, "start_ns": self.start_ns,
                "end_ns": end_ns}
        self.log.write(json.dumps(line) + "\n")
        return (end_ns - self.start_ns) / 1e9

    def finish(self, body_bytes=0):
        self.ask_rest()
        return self.read(body_bytes)

    def ask(self, times=1):
        """Whole requests; how long they took together."""
        seconds = 0.0
        for _ in range(times):
            self.begin()
            seconds += self.finish()
        return seconds


class Answered(Client):
    """One that this program answers, too, on one side of the link; it asks from the other."""

    def __init__(self, server, sides, log):
        of_server, of_client = sides
        with of_server():
            listener = socket.create_server(server)
        with of_client():
            connection = socket.socket()
        with listener:
            connection.connect(server)
            self.server, _ = listener.accept()
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(connection, log)

    def ask_rest(self):
        super().ask_rest()
        request = b""
        while b"\r\n\r\n" not in request:
            request += self.server.recv(4096)

    def read(self, body_bytes=0):
        self.server.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        return super().read(body_bytes)


class Windows:
    """What was done and what was counted between two looks."""

    def __init__(self):
        self.families, self.daemon = Families(), Daemon()
        self.before = self.daemon.read()

    def edge(self, window, requests, seconds, in_flight):
        """The end of a window in which so many requests ended, which took so long, and so many did not."""
        now = self.daemon.read()
        samples = {reading: {(name, *sorted(labels.items())): value for name, labels, value in reading.samples
                             if name.startswith("http_")} for reading in (self.before, now)}
        for name, value in (
            ("done", requests),
            ("counted", int(now.sum(COUNT) - self.before.sum(COUNT))),
            ("done_seconds", seconds),
            ("counted_seconds", now.sum(SUM) - self.before.sum(SUM)),
            ("begun", in_flight),
            ("in_flight", int(now.sum(IN_FLIGHT))),
            ("same_text", int(samples[self.before] == samples[now])),
        ):
            self.families.gauge(name, value, window=window)
        self.before = now


def connect_inward(receive_bytes=None):
    with there():
        connection = socket.socket()
    if receive_bytes:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    connection.connect(SERVER)
    return connection


def main():
    with open(f"{LOGS}/client.jsonl", "w", encoding="ascii") as log, \
         open(f"{LOGS}/answered-client.jsonl", "w", encoding="ascii") as answered_log:
        inward, outward = Client(connect_inward(), log), Answered(FAR_SERVER, (there, here), answered_log)
        near = Answered(NEAR_SERVER, (here, there), answered_log)
        slow = Client(connect_inward(4096), log)
        both = (inward, outward)
        windows = Windows()

        seconds = inward.ask(3) + outward.ask(2)
        for one in both:
            one.begin()
        windows.edge("some", 5, seconds, 2)
        time.sleep(2)
        windows.edge("empty", 0, 0, 2)
        seconds = sum(one.finish() for one in both) + inward.ask()
        slow.begin(f"/status/200/{LARGE_BYTES}")
        slow.ask_rest()
        time.sleep(0.1)
        windows.edge("requests end", 3, seconds, 1)
        windows.edge("answer ends", 1, slow.read(LARGE_BYTES), 0)

        for window, hours in (("clock forward", 1), ("clock back", -2), ("clock right again", 1)):
            for one in both:
                one.begin()
            step(3600 * hours)
            seconds = sum(one.finish() for one in both) + sum(one.ask(2) for one in both)
            windows.edge(window, 6, seconds, 0)

        # A clock that is off by less than a stamp may be old is believed.
        seconds = 0.0
        for little in LITTLE_STEPS_SECONDS:
            for one in (near, outward):
                for before, after in ((little, 0), (0, little)):
                    step(before)
                    one.begin()
                    one.ask_rest()
                    step(after)
                    seconds += one.read() + FRESH_SECONDS
                    # Looking tells the daemon how the clocks stand.
                    windows.daemon.read()
        windows.edge("clock a little off", 4 * len(LITTLE_STEPS_SECONDS), seconds, 0)
    windows.families.print()


main()
