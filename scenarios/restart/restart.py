"""Kills a daemon that has every probe while what it watches goes on, and starts it again: are its counts those of its own
lifetime, is nothing left behind, and does another daemon notice?

What is counted is counted here by who did it. Things are under way when the daemon dies, and others when it comes back: a
request that is half sent, a connection attempt that nobody answers, a process between two calls of the function, tasks
that sleep. Neither life may make anything of what it saw one half of.
"""

import collections
import errno
import os
import socket
import subprocess
import time

import left
import sched
from daemon import Daemon, OwnDaemon
from frames import Namespace

PROGRAM, TWIN = "/lab/restart/triangle", "/lab/restart/twin"
GENERATOR = "generator"
SERVER, RECEIVER = ("10.7.0.1", 8000), ("10.7.0.1", 9000)
PASSED, BLOCKED = "10.7.0.2", "10.7.0.3"
BLACKHOLE = ("10.9.2.7", 7000)
CLOSED = ("127.0.0.1", 9)
OWN_PORT = 9465
SETTLE_SECONDS = 0.05


class Client:
    """A keep-alive connection to the server. Its answers have no body."""

    def __init__(self):
        with Namespace(GENERATOR):
            self.socket = socket.create_connection(SERVER)
        self.half = b""

    def ask_half(self, status):
        # A request is one from its first line on.
        self.half = b"Host: x\r\n\r\n"
        self.socket.sendall(b"GET /status/%d HTTP/1.1\r\n" % status)

    def ask_rest(self):
        self.socket.sendall(self.half)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(65536)

    def ask(self, status):
        self.ask_half(status)
        self.ask_rest()


class Datagrams:
    """Senders with an address each, and how much of theirs arrived."""

    def __init__(self):
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind(RECEIVER)
        self.receiver.setblocking(False)
        self.senders = {}
        with Namespace(GENERATOR):
            subprocess.run(["ip", "address", "add", f"{BLOCKED}/24", "dev", "lab1"], check=True)
            for address in (PASSED, BLOCKED):
                self.senders[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.senders[address].bind((address, 0))

    def send(self, counts):
        for address, count in counts.items():
            for _ in range(count):
                self.senders[address].sendto(b"x", RECEIVER)

    def arrived(self):
        """Since the last call, by sender."""
        time.sleep(SETTLE_SECONDS)
        arrived = collections.Counter()
        while True:
            try:
                _, (sender, _) = self.receiver.recvfrom(16)
            except BlockingIOError:
                return arrived
            arrived[sender] += 1


class Worker:
    """A process that lives through everything, alone in its control group. It sleeps between its rounds."""

    CGROUP = "worker"

    def __init__(self):
        os.mkdir(f"{sched.CGROUPS}/{self.CGROUP}")
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()
        self.pid = sched.spawn(self.CGROUP, self.work, commands, answers)
        os.close(answers)

    def work(self, commands, answers):
        os.close(self.commands)
        while os.read(commands, 1):
            self.round()
            os.write(answers, b".")

    @staticmethod
    def round():
        for _ in range(3):
            os.close(os.open("/dev/null", os.O_RDONLY))
        for _ in range(2):
            try:
                os.open("/nothing", os.O_RDONLY)
            except FileNotFoundError:
                pass
        with socket.socket() as one:
            assert one.connect_ex(CLOSED) == errno.ECONNREFUSED
        time.sleep(0.001)

    def begin(self, rounds):
        os.write(self.commands, b"." * rounds)

    def finish(self, rounds):
        """Waits for its rounds; what it did in them."""
        for _ in range(rounds):
            os.read(self.answers, 1)
        return {"open ok": 3 * rounds, "open ENOENT": 2 * rounds, "connect refused": rounds}

    def waits(self):
        """How often the kernel says that it waited for a processor. Asked while it sleeps."""
        time.sleep(SETTLE_SECONDS)
        return sched.Schedstat(self.pid).read()[1]

    def end(self):
        os.close(self.commands)
        assert os.waitpid(self.pid, 0)[1] == 0


def execute(successes, failures):
    """In a process of its own in the group that is watched for it."""
    for _ in range(successes):
        child = os.fork()
        if child == 0:
            os.execv("/bin/true", ["true"])
        assert os.waitpid(child, 0)[1] == 0
    for _ in range(failures):
        try:
            os.execv("/nothing", ["nothing"])
        except FileNotFoundError:
            pass


def start(program, calls, pause_seconds=0):
    environment = {**os.environ, "GFORTRAN_UNBUFFERED_PRECONNECTED": "1"}
    command = [program, str(calls), str(pause_seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def lines(process):
    """How many lines a process prints until its end."""
    number = sum(1 for _ in process.stdout)
    assert process.wait() == 0
    return number


class Load:
    """Everything that is watched, and what was done of it."""

    def __init__(self):
        self.client, self.datagrams, self.worker = Client(), Datagrams(), Worker()
        os.mkdir(f"{sched.CGROUPS}/execs")
        # Datagrams of the sender on the blocklist: sent and arrived in the last round.
        self.listed = 0, 0

    def work(self, times):
        """A known number of everything."""
        done = collections.Counter()
        for _ in range(times):
            self.client.ask(200)
        self.client.ask(404)
        done += {"http 200": times, "http 404": 1}
        sent = {PASSED: 5 * times, BLOCKED: 7 * times}
        self.datagrams.send(sent)
        arrived = self.datagrams.arrived()
        assert arrived[PASSED] == sent[PASSED]
        self.listed = sent[BLOCKED], arrived[BLOCKED]
        done += {"discarded udp": arrived.total(), "dropped": sent[BLOCKED] - arrived[BLOCKED]}
        done += {"calls twin": lines(start(TWIN, 10 * times)), "calls triangle": lines(start(PROGRAM, 3 * times))}
        self.worker.begin(times)
        done += self.worker.finish(times)
        sched.settle(sched.spawn("execs", execute, 2 * times, times))
        done += {"exec ok": 2 * times, "exec ENOENT": times}
        return done


# Where a daemon says how much it counted of what.
COUNTED = {
    "http 200": ("http_server_request_duration_seconds_count", {"http_response_status_code": "200"}),
    "http 404": ("http_server_request_duration_seconds_count", {"http_response_status_code": "404"}),
    "discarded udp": ("drop_packets_total", {"verdict": "discarded", "protocol": "udp"}),
    "dropped": ("xdp_packets_total", {"verdict": "drop"}),
    "calls twin": ("function_calls_total", {"program": TWIN}),
    "calls triangle": ("function_calls_total", {"program": PROGRAM}),
    "connect refused": ("tcp_connects_total", {"outcome": "refused", "cgroup": "/worker"}),
    "connect aborted": ("tcp_connects_total", {"outcome": "aborted"}),
    "open ok": ("open_total", {"result": "ok", "cgroup": "/worker"}),
    "open ENOENT": ("open_total", {"result": "ENOENT", "cgroup": "/worker"}),
    "exec ok": ("exec_total", {"result": "ok", "cgroup": "/execs"}),
    "exec ENOENT": ("exec_total", {"result": "ENOENT", "cgroup": "/execs"}),
    "waits": ("runq_latency_seconds_count", {"cgroup": "/worker"}),
}
NOT_WATCHED = {"own": ["calls triangle"], "laboratory": ["calls twin", "dropped"]}


class Lives:
    """What was done and what was counted, life by life."""

    def __init__(self):
        self.families = sched.Families()

    def add(self, life, watcher, done, reading):
        for what, (series, labels) in COUNTED.items():
            if what not in NOT_WATCHED[watcher]:
                self.families.gauge("done", done.get(what, 0), life=life, what=what)
                self.families.gauge("counted", int(reading.sum(series, **labels)), life=life, what=what)
        for name in ("probelab_lost_total", "probelab_hits_unaccounted"):
            self.families.gauge("must_be_zero", int(reading.sum(name)), life=life, what=name)

    def add_left(self, when, before):
        for kind, more in left.beyond(before).items():
            self.families.gauge("left", more, when=when, what=kind)
        self.families.gauge("left", left.breakpoints(TWIN), when=when, what="breakpoints")


def main():
    lives, load = Lives(), Load()
    subprocess.run(["ip", "route", "add", "10.9.2.0/24", "via", PASSED], check=True)
    laboratory = Daemon()
    daemon = OwnDaemon("own.yaml", laboratory.loader(), OWN_PORT)
    before, waits_before = left.everything(), load.worker.waits()

    daemon.start()
    there = left.beyond(before)
    assert there["programs"] >= 10 and there["maps"] >= 10 and there["packet_sockets"] == 2, there
    lives.families.gauge("watched_breakpoints", left.breakpoints(TWIN))
    first = load.work(3)
    # Under way from here on: a call now, one while nobody watches, the others after; and so on.
    survivor = start(TWIN, 4, 20)
    survivor.stdout.readline()
    first["calls twin"] += 1
    across = Client()
    across.ask_half(200)
    pending = socket.socket()
    pending.setblocking(False)
    assert pending.connect_ex(BLACKHOLE) == errno.EINPROGRESS
    first["waits"] = load.worker.waits() - waits_before
    reading = daemon.read()
    lives.add("first", "own", first, reading)
    lives.families.gauge("under_way", int(reading.sum("http_server_requests_in_flight")), what="request")
    lives.families.gauge("under_way", int(reading.sum("tcp_connects_pending")), what="attempt")

    load.worker.begin(6)
    time.sleep(0.002)
    daemon.kill()
    unwatched = collections.Counter(load.worker.finish(6))
    lives.add_left("killed", before)
    across.ask_rest()
    survivor.stdout.readline()
    unwatched += {"http 200": 1, "calls twin": 1}
    unwatched += load.work(2)
    for family, count in zip(("listed_sent", "listed_arrived"), load.listed):
        lives.families.gauge(family, count, when="unwatched")

    # Before its hooks are all in place, too.
    daemon.begin()
    time.sleep(0.5)
    daemon.kill()
    lives.add_left("killed early", before)

    # It sees the second half of this.
    late = Client()
    late.ask_half(200)
    waits_before_second = load.worker.waits()
    daemon.start()
    late.ask_rest()
    pending.close()
    second = load.work(4)
    second["calls twin"] += lines(survivor)
    late.ask(404)
    second["http 404"] += 1
    second["waits"] = load.worker.waits() - waits_before_second
    lives.add("second", "own", second, daemon.read())
    daemon.end()
    lives.add_left("ended", before)

    whole = first + unwatched + second
    whole += {"http 200": 1, "connect aborted": 1}
    whole["waits"] = load.worker.waits()
    reading = laboratory.read()
    lives.add("whole", "laboratory", whole, reading)
    load.worker.end()
    lives.families.print()


main()
