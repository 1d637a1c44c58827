#!/usr/bin/env python3
"""Connects in every way in which connect(2) can go, and says how each went by its own clock and its own errors.

Prints OpenMetrics. Series that start with `client_` are what this program saw and what it configured; those that start
with `event_` are the single attempts that the probe reported, as it reported them. The n-th attempt of this program is
the n-th that the probe reported of it: they are made one after the other.
"""

import collections
import errno
import json
import os
import select
import socket
import struct
import subprocess
import time

EVENTS = "/lab/out/events.jsonl"
INTERFACE = "lab0"
SERVER = {"ipv4": "10.9.0.2", "ipv6": "fd09::2", "mapped": "::ffff:10.9.0.2"}
UNREACHABLE = {"ipv4": "10.9.1.7", "ipv6": "fd09:1::7"}
BLACKHOLE = {"ipv4": "10.9.2.7", "ipv6": "fd09:2::7"}
NO_ROUTE = {"ipv4": "192.0.2.7", "ipv6": "2001:db8::7"}
PORT, CLOSED_PORT = 7000, 7001
SLOW_SECONDS = 0.02

TCP_SYNCNT = 7
TCP_FASTOPEN_CONNECT = 30
TCPI_TOTAL_RETRANS = 100  # offset in struct tcp_info

OUTCOMES = {
    0: "success",
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timeout",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EADDRNOTAVAIL: "unsent",
}

Attempt = collections.namedtuple("Attempt", "family outcome seconds delay_seconds retransmits local_port")


class Client:
    def __init__(self):
        self.attempts = []
        self.delay_seconds = 0.0

    def open(self, family):
        return socket.socket(socket.AF_INET if family == "ipv4" else socket.AF_INET6)

    def note(self, family, outcome, start_ns, retransmits=0, local_port=0, passes_link=True):
        self.attempts.append(Attempt(
            family="ipv6" if family == "ipv6" else "ipv4",
            outcome=outcome,
            seconds=(time.monotonic_ns() - start_ns) / 1e9,
            delay_seconds=self.delay_seconds if passes_link else 0.0,
            retransmits=retransmits,
            local_port=local_port,
        ))

    def blocking(self, family, address, port=PORT):
        with self.open(family) as one:
            start_ns = time.monotonic_ns()
            error = one.connect_ex((address, port))
            outcome = OUTCOMES[error]
            self.note(family, outcome, start_ns)
            if error == 0:
                self.amend(one)

    def amend(self, one):
        """What is only worth asking when the clock has been read."""
        self.attempts[-1] = self.attempts[-1]._replace(
            retransmits=retransmits(one), local_port=one.getsockname()[1])

    def nonblocking(self, family, address, syns=None, meanwhile=None):
        """Asks twice, as a program does that was told "in progress"."""
        with self.open(family) as one:
            one.setblocking(False)
            if syns is not None:
                one.setsockopt(socket.IPPROTO_TCP, TCP_SYNCNT, syns)
            start_ns = time.monotonic_ns()
            first = one.connect_ex((address, PORT))
            second = one.connect_ex((address, PORT))
            assert (first, second) == (errno.EINPROGRESS, errno.EALREADY), (first, second)
            if meanwhile:
                meanwhile()
            poll = select.poll()
            poll.register(one, select.POLLOUT)
            poll.poll()
            outcome = OUTCOMES[one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]
            self.note(family, outcome, start_ns)
            self.amend(one)
            if outcome == "success":
                assert one.connect_ex((address, PORT)) == 0

    def abandoned(self, family):
        """Closed before an answer."""
        one = self.open(family)
        one.setblocking(False)
        start_ns = time.monotonic_ns()
        assert one.connect_ex((BLACKHOLE[family], PORT)) == errno.EINPROGRESS
        time.sleep(0.1)
        one.close()
        self.note(family, "aborted", start_ns)

    def without_local_port(self):
        """Two sockets with one local port cannot have one remote port: the second is told so before its SYN."""
        with self.open("ipv4") as first, self.open("ipv4") as second:
            for one in (first, second):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind(("10.9.0.1", 41000))
            start_ns = time.monotonic_ns()
            first.connect((SERVER["ipv4"], PORT))
            self.note("ipv4", "success", start_ns)
            self.amend(first)
            start_ns = time.monotonic_ns()
            error = second.connect_ex((SERVER["ipv4"], PORT))
            self.note("ipv4", OUTCOMES[error], start_ns, passes_link=False)
            assert error == errno.EADDRNOTAVAIL, error

    def to_itself(self):
        """A socket that connects to its own address: both SYNs cross."""
        with self.open("ipv4") as one:
            one.bind(("127.0.0.1", 41001))
            start_ns = time.monotonic_ns()
            one.connect(("127.0.0.1", 41001))
            self.note("ipv4", "success", start_ns, passes_link=False)
            self.amend(one)

    def fast_open(self, pause_seconds):
        """With a cookie at hand connect(2) returns at once, and the SYN goes out with the first data."""
        with self.open("ipv4") as one:
            one.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
            start_ns = time.monotonic_ns()
            one.connect((SERVER["ipv4"], PORT))
            if pause_seconds:
                time.sleep(pause_seconds)
                start_ns = time.monotonic_ns()
                one.sendall(b"y")
                assert one.recv(1) == b"x"
            self.note("ipv4", "success", start_ns)
            self.amend(one)

    def without_route(self, family):
        """No state changes at all: connect(2) finds no route before it touches the socket."""
        with self.open(family) as one:
            assert one.connect_ex((NO_ROUTE[family], PORT)) == errno.ENETUNREACH

    def link(self, settings, delay_seconds):
        tc(f"qdisc replace dev {INTERFACE} root netem {settings}")
        self.delay_seconds = delay_seconds


def retransmits(one):
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return struct.unpack_from("=I", info, TCPI_TOTAL_RETRANS)[0]


def mended(client, after_seconds):
    """The first SYN is lost for sure, and the link whole after a while. SYNs go out at 0 s, 1 s and 2 s or later."""
    def mend():
        time.sleep(after_seconds)
        client.link("delay 5ms loss 0%", 0.005)

    client.link("delay 5ms loss 100%", 0.005)
    client.nonblocking("ipv4", SERVER["ipv4"], meanwhile=mend)


def tc(arguments):
    subprocess.run(["tc", *arguments.split()], check=True)


def routes():
    for arguments in ("route add 10.9.1.0/24 via 10.9.0.2", "route add 10.9.2.0/24 via 10.9.0.2",
                      "-6 route add fd09:1::/64 via fd09::2", "-6 route add fd09:2::/64 via fd09::2"):
        subprocess.run(["ip", *arguments.split()], check=True)


def connect_in_every_way(client):
    for milliseconds in (0, 5, 50):
        client.link(f"delay {milliseconds}ms", milliseconds / 1000)
        for family, address in SERVER.items():
            for _ in range(4):
                client.blocking(family, address)
            client.blocking(family, address, CLOSED_PORT)
    client.link("delay 5ms", 0.005)
    for family, address in SERVER.items():
        client.nonblocking(family, address)
    for family in ("ipv4", "ipv6"):
        client.blocking(family, UNREACHABLE[family])
        client.nonblocking(family, BLACKHOLE[family], syns=1)
        client.abandoned(family)
        client.without_route(family)
    client.without_local_port()
    client.to_itself()
    client.fast_open(0)
    client.fast_open(0.3)
    mended(client, 0.5)
    mended(client, 1.5)
    client.link("delay 5ms loss 10%", 0.005)
    for _ in range(40):
        client.blocking("ipv4", SERVER["ipv4"])
    client.link("delay 0ms", 0)


def reported():
    """What the probe said of this process, in its order. It writes every second."""
    time.sleep(1.5)
    with open(EVENTS, encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    return [event for event in events if event["pid"] == os.getpid()]


def own_names():
    with open("/proc/self/comm", encoding="utf-8") as comm, open("/proc/self/cgroup", encoding="utf-8") as cgroup:
        return {"comm": comm.read().strip(), "cgroup": cgroup.read().strip().removeprefix("0::")}


def family_text(name, kind, samples):
    lines = [f"# TYPE {name} {kind}"]
    for labels, value in samples:
        pairs = ",".join(f'{key}="{text}"' for key, text in labels.items())
        suffix = "_total" if kind == "counter" else ""
        lines.append(f"{name}{suffix}{{{pairs}}} {value}" if pairs else f"{name}{suffix} {value}")
    return lines


def counted(attempts, value=lambda attempt: 1):
    sums = collections.Counter()
    for attempt in attempts:
        sums[attempt.outcome, attempt.family] += value(attempt)
    return [({"outcome": outcome, "family": family}, count) for (outcome, family), count in sorted(sums.items())]


def text(attempts, events):
    lines = family_text("client_connects", "counter", counted(attempts))
    lines += family_text("client_syn_retransmits", "counter", counted(attempts, lambda one: one.retransmits))
    lines += family_text("client_slow", "counter", counted(attempts, lambda one: int(one.seconds > SLOW_SECONDS)))
    lines += family_text("client_crossed", "counter", [({}, 1)])
    seconds, delays, ports = [], [], []
    for number, one in enumerate(attempts):
        labels = {"attempt": number, "outcome": one.outcome, "family": one.family}
        seconds.append((labels, f"{one.seconds:.9f}"))
        if one.outcome in ("success", "refused"):
            delays.append((labels, one.delay_seconds))
        if one.local_port:
            ports.append(({"attempt": number}, one.local_port))
    lines += family_text("client_connect_seconds", "gauge", seconds)
    lines += family_text("client_delay_seconds", "gauge", delays)
    lines += family_text("client_local_port", "gauge", ports)
    seconds, ports, answered = [], [], []
    for number, event in enumerate(events):
        labels = {"attempt": number, "outcome": event["outcome"], "family": event["family"]}
        duration = f"{event['duration_ns'] / 1e9:.9f}"
        seconds.append((labels, duration))
        if event["outcome"] in ("success", "refused"):
            answered.append((labels, duration))
        if event["outcome"] == "success" or event["syn_retransmits"]:
            ports.append(({"attempt": number}, event["local"].rsplit(":", 1)[1]))
    lines += family_text("event_connect_seconds", "gauge", seconds)
    lines += family_text("event_answered_seconds", "gauge", answered)
    lines += family_text("event_local_port", "gauge", ports)
    names = collections.Counter((event["comm"], event["cgroup"]) for event in events)
    lines += family_text("event_names", "gauge", [
        ({"comm": comm, "cgroup": cgroup}, count) for (comm, cgroup), count in sorted(names.items())])
    lines += family_text("client_names", "gauge", [(own_names(), len(attempts))])
    return "\n".join(lines) + "\n# EOF\n"


def main():
    # The daemon wakes at the same moments as this program; on one processor it must not come between clock and call.
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    client = Client()
    routes()
    connect_in_every_way(client)
    # The daemon writes what it reads from the ring buffer as soon as it runs.
    time.sleep(0.5)
    print(text(client.attempts, reported()), end="")


main()
