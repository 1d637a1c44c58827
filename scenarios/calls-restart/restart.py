"""Kills a daemon while what it watches runs, and starts it again: are its counts those of its own lifetime, and is
nothing left behind?

What is left behind is looked for from outside: a process that maps the program's file finds the kernel's breakpoint in
it, or the instruction that the compiler wrote; and the kernel lists the BPF programs that are loaded.
"""

import ctypes
import mmap
import os
import signal
import socket
import subprocess
import time

PROGRAM = "/lab/restart/triangle"
TWIN = "/lab/restart/twin"
ADDRESS = ("127.0.0.1", 9465)
DAEMON = ["/lab/bin/probed", "run", "--manifest", "twin.yaml", "--listen", "%s:%d" % ADDRESS]
SYS_BPF = 321
BPF_PROG_GET_NEXT_ID = 11
PATIENCE_SECONDS = 30

libc = ctypes.CDLL(None, use_errno=True)


def get(path):
    """Body of a successful answer, or nothing."""
    try:
        with socket.create_connection(ADDRESS) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while part := connection.recv(65536):
                answer += part
    except OSError:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    return body.decode() if b" 200 " in head.split(b"\r\n")[0] else None


def wait_for(condition):
    waited = 0.0
    while not condition():
        assert waited < PATIENCE_SECONDS, "waited for nothing"
        time.sleep(0.01)
        waited += 0.01


def start_daemon():
    daemon = subprocess.Popen(DAEMON, stderr=subprocess.DEVNULL)
    wait_for(lambda: get("/ready") is not None)
    return daemon


def counted():
    """What the daemon counts now."""
    lines = get("/metrics").splitlines()
    return sum(int(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("function_calls_total{"))


def start(program, calls, pause_seconds=0):
    environment = {**os.environ, "GFORTRAN_UNBUFFERED_PRECONNECTED": "1"}
    command = [program, str(calls), str(pause_seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def lines(process):
    """How many lines a process prints until its end."""
    number = sum(1 for _ in process.stdout)
    assert process.wait() == 0
    return number


def differs(path):
    """How many bytes of a file are others when it is mapped: the kernel's breakpoints."""
    with open(path, "rb") as file:
        written = file.read()
        with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ) as mapped:
            return sum(1 for one, other in zip(written, mapped[:]) if one != other)


def bpf_programs():
    """How many BPF programs the kernel holds."""
    number, attributes = 0, (ctypes.c_uint32 * 8)()
    while libc.syscall(SYS_BPF, BPF_PROG_GET_NEXT_ID, attributes, ctypes.sizeof(attributes)) == 0:
        number += 1
        attributes[0], attributes[1] = attributes[1], 0
    return number


def show(family, label, values):
    """Prints a family of series that differ in one label."""
    name, kind = (family.removesuffix("_total"), "counter") if family.endswith("_total") else (family, "gauge")
    print(f"# TYPE {name} {kind}")
    for value, number in values.items():
        print(f'{family}{{{label}="{value}"}} {number}')


def main():
    undisturbed = lines(start(PROGRAM, 30))
    programs_before = bpf_programs()
    printed, known, breakpoints = {}, {}, {}

    daemon = start_daemon()
    assert bpf_programs() > programs_before
    breakpoints["watched"] = differs(TWIN)
    printed["first"] = lines(start(TWIN, 70))
    # One that lives through it all: a call now, one while nobody watches, the others after.
    survivor = start(TWIN, 4, 20)
    survivor.stdout.readline()
    printed["first"] += 1
    known["first"] = counted()

    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    breakpoints["killed"] = differs(TWIN)
    survivor.stdout.readline()
    unwatched = 1 + lines(start(TWIN, 50))
    # Programs go when the kernel gets to it.
    for _ in range(200):
        left_programs = bpf_programs() - programs_before
        if left_programs == 0:
            break
        time.sleep(0.01)

    daemon = start_daemon()
    printed["second"] = lines(start(TWIN, 90)) + lines(survivor)
    known["second"] = counted()
    daemon.terminate()
    assert daemon.wait() == 0
    breakpoints["ended"] = differs(TWIN)
    undisturbed += lines(start(PROGRAM, 20))

    show("twin_lines_total", "life", printed)
    show("twin_counted_total", "life", known)
    show("unwatched_lines_total", "program", {TWIN: unwatched})
    show("lines_total", "program", {PROGRAM: undisturbed})
    show("breakpoints", "when", breakpoints)
    show("left_programs", "when", {"killed": left_programs})
    print("# EOF")


main()
