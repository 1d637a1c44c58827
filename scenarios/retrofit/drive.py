"""Runs /test, a program that prints one line per call of a function, in the control groups of two containers, beside a
process that takes the CPU from it, and says how many lines came and what the kernel itself says of the waits.

The manifests watch one container alone, and of it this program alone. Each process is stopped by a tracer when its
program is in place, before its first instruction: what the kernel counted until then was of another program. Between
the two nobody can take the CPU from it (SCHED_FIFO): that would be a wait of this program already.
"""

import ctypes
import os
import signal
import sys
import time

import sched

PROGRAM = "/test"
WATCHED, OTHER = "area", "elsewhere"
LINES = 400
PTRACE_TRACEME, PTRACE_DETACH = 0, 17
# A daemon looks twice a second who is to be watched; what a container does before it is found is not counted.
FOUND_SECONDS = 1.2

libc = ctypes.PyDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def become(pipe, *arguments):
    """Becomes the program, stopped at its first instruction, with its output in a pipe."""
    os.dup2(pipe, 1)
    libc.ptrace(PTRACE_TRACEME, 0, None, None)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.execv(PROGRAM, [PROGRAM, *arguments])


def start(cgroup, lines):
    """Starts the program; returns its pid, its output and what the kernel counted before it ran."""
    ours, theirs = os.pipe()
    pid = sched.spawn(cgroup, become, theirs, str(lines), "0")
    os.close(theirs)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTRAP, status
    os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
    before = sched.Schedstat(pid).read()
    return pid, ours, before


def go_on(pid):
    if libc.ptrace(PTRACE_DETACH, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "PTRACE_DETACH")


def burn(seconds):
    """Takes the CPU from whoever else is there."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def count(output):
    """Counts the lines until the output ends."""
    with os.fdopen(output, "rb") as file:
        lines = file.readlines()
    assert all(line.startswith(b"triangle ") for line in lines), lines
    return len(lines)


def run(cgroup, processes, families):
    """All at once, so that they wait for one another."""
    started = [start(cgroup, LINES) for _ in range(processes)]
    time.sleep(FOUND_SECONDS)
    # In the same container, and not the program that is watched.
    rival = sched.spawn(cgroup, burn, 0.2)
    for pid, _, _ in started:
        go_on(pid)
    lines = sum(count(output) for _, output, _ in started)
    sched.settle(rival)
    delay_ns = timeslices = 0
    for pid, _, (delay_before_ns, timeslices_before) in started:
        settled = sched.settle(pid)
        delay_ns += settled["delay_ns"] - delay_before_ns
        timeslices += settled["timeslices"] - timeslices_before
    families.gauge("lines", lines, cgroup=f"/{cgroup}")
    families.gauge("kernel_wait_seconds", delay_ns / 1e9, cgroup=f"/{cgroup}")
    families.gauge("kernel_wait_microseconds", delay_ns / 1e3, cgroup=f"/{cgroup}")
    families.gauge("kernel_timeslices", timeslices, cgroup=f"/{cgroup}")


def main():
    families = sched.Families()
    run(WATCHED, 3, families)
    run(OTHER, 1, families)
    families.print()


sys.exit(main())
