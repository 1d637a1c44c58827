"""Everything that a daemon with every probe watches, done a known number of times."""

import collections
import errno
import os
import socket
import subprocess
import time

import sched
from frames import Namespace

PROGRAM, TWIN = "/lab/restart/triangle", "/lab/restart/twin"
GENERATOR = "generator"
SERVER, RECEIVER = ("10.7.0.1", 8000), ("10.7.0.1", 9000)
PASSED, BLOCKED = "10.7.0.2", "10.7.0.3"
CLOSED = ("127.0.0.1", 9)
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
