"""Processes that end between the beginning and the end of what is observed of them, and control groups that go with them.

Every process has a group of its own, which is removed as soon as the process is no more. What each did is said by who
started it, and how often it waited for a processor by the kernel, which is asked when it is a zombie.
"""

import collections
import errno
import os
import signal
import socket
import subprocess
import time

import sched

LEAVER, FIFO = "/lab/jobs/leaver", "/lab/jobs/fifo"
SERVER, MORTAL_SERVER = ("10.7.0.1", 8000), ("10.7.0.1", 8001)
BLACKHOLE = ("10.9.2.7", 7000)
REQUEST = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
MANY_BYTES = 400_000
SETTLE_SECONDS = 0.02
# Longer than the daemon takes to look twice for those that are gone.
PAUSE_SECONDS = 70
# The kernel may take its clock of the wakeup before for that of the switch.
CLOCK_BLUR_SECONDS = 0.0001

HERE = os.open("/proc/self/ns/net", os.O_RDONLY)
GENERATOR = os.open("/run/netns/generator", os.O_RDONLY)
done = collections.Counter()
delays_ns = []


def departures(pid):
    """How often a process left a processor, which it had to wait for as often. Schedstat's timeslices leave a wait out: that of
    who is preempted with its state set to a sleep that it has not begun (Linux 5.10 to 7.2, sched_info_depart)."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return sum(int(line.split()[1]) for line in file if "ctxt_switches:" in line)


class Job:
    """A process with a control group of its own."""

    started = 0

    def __init__(self, work, *arguments):
        self.cgroup = f"job-{Job.started}"
        Job.started += 1
        os.mkdir(f"{sched.CGROUPS}/{self.cgroup}")
        self.said, self.say = os.pipe()
        self.pid = sched.spawn(self.cgroup, work, self.say, *arguments)
        os.close(self.say)

    def hear(self):
        """Waits for a byte of the process."""
        assert os.read(self.said, 1)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)

    def settle(self, status=-signal.SIGKILL):
        """Sees it end, has the kernel's word about it, and removes its group. How many bytes it said beyond those heard."""
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        time.sleep(SETTLE_SECONDS)
        delay_ns, _ = sched.Schedstat(self.pid).read()
        delays_ns.append(delay_ns)
        done["waits"] += departures(self.pid)
        assert os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]) == status
        os.rmdir(f"{sched.CGROUPS}/{self.cgroup}")
        rest = len(os.read(self.said, 64))
        os.close(self.said)
        return rest


def call(say, how):
    os.dup2(say, 1)
    os.execv(LEAVER, ["leaver", how])


def calls():
    for how, status, times in (("exit", 0, 3), ("kill", -signal.SIGKILL, 4), ("exec", 0, 2)):
        for _ in range(times):
            done["calls"] += Job(call, how).settle(status)
            done["exec ok"] += 2 if how == "exec" else 1
    for _ in range(2):
        job = Job(call, "wait")
        for _ in range(3):
            job.hear()
        time.sleep(SETTLE_SECONDS)
        job.kill()
        done["calls"] += 3 + job.settle()
        done["exec ok"] += 1


def open_files(say):
    for _ in range(3):
        try:
            os.open("/dev/null/below", os.O_RDONLY)
        except NotADirectoryError:
            pass
    os.write(say, b".")
    # Nobody writes to it.
    os.open(FIFO, os.O_RDONLY)


def opens():
    os.mkfifo(FIFO)
    for _ in range(4):
        job = Job(open_files)
        job.hear()
        time.sleep(SETTLE_SECONDS)
        job.kill()
        job.settle()
        done["open ENOTDIR"] += 3
        done["open interrupted"] += 1


def connect(say, is_blocking):
    one = socket.socket()
    one.setblocking(is_blocking)
    if is_blocking:
        os.write(say, b".")
        one.connect(BLACKHOLE)
    else:
        assert one.connect_ex(BLACKHOLE) == errno.EINPROGRESS
        os.write(say, b".")
        signal.pause()


def connects():
    for is_blocking in (True, False, True, True):
        job = Job(connect, is_blocking)
        job.hear()
        time.sleep(SETTLE_SECONDS)
        job.kill()
        job.settle()
        done["connect aborted"] += 1


def ask_and_not_read(say):
    os.setns(GENERATOR, os.CLONE_NEWNET)
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(SERVER)
    one.sendall(REQUEST % (b"/status/200/%d" % MANY_BYTES))
    os.write(say, b".")
    signal.pause()


def answer_half(say, listener):
    one, _ = listener.accept()
    one.recv(4096)
    one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ")
    os.write(say, b".")
    signal.pause()


def requests():
    """Ended by a client that had not read its answer, and by a server that had not sent its own."""
    for _ in range(3):
        job = Job(ask_and_not_read)
        job.hear()
        time.sleep(SETTLE_SECONDS)
        job.kill()
        job.settle()
        done["aborted client"] += 1
        done["connect success"] += 1
    os.setns(GENERATOR, os.CLONE_NEWNET)
    clients = [socket.socket() for _ in range(2)]
    os.setns(HERE, os.CLONE_NEWNET)
    for client in clients:
        with socket.create_server(MORTAL_SERVER) as listener:
            job = Job(answer_half, listener)
        client.connect(MORTAL_SERVER)
        client.sendall(REQUEST % b"/half")
        job.hear()
        time.sleep(SETTLE_SECONDS)
        job.kill()
        job.settle()
        while client.recv(4096):
            pass
        client.close()
        done["aborted server"] += 1


def compute(_say):
    while True:
        pass


def queued():
    """Killed while they wait for a processor: some never had one, some had one before."""
    for _ in range(5):
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
        job = Job(compute)
        job.kill()
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        job.settle()
    jobs = [Job(compute) for _ in range(3)]
    time.sleep(0.03)
    for job in jobs:
        job.kill()
    for job in jobs:
        job.settle()


def main():
    subprocess.run(["ip", "route", "add", "10.9.2.0/24", "via", "10.7.0.2"], check=True)
    calls()
    opens()
    connects()
    requests()
    queued()
    time.sleep(PAUSE_SECONDS)
    families = sched.Families()
    gone = {"cgroup": "(gone)"}
    families.gauge("calls", done["calls"], **gone)
    families.gauge("calls_of_ended", done["calls"], process="(ended)")
    for family, label in (("exec", "result"), ("open", "result"), ("connect", "outcome")):
        for what, count in done.items():
            kind, _, value = what.partition(" ")
            if kind == family:
                families.gauge(family, count, **gone, **{label: value})
    for who in ("client", "server"):
        families.gauge("aborted", done[f"aborted {who}"], by=who)
    families.gauge("waits", done["waits"], **gone)
    families.gauge("longest_possible_wait_seconds", max(delays_ns) / 1e9 + CLOCK_BLUR_SECONDS, **gone)
    families.print()


main()
