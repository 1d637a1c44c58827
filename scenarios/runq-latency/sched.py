"""Busy and sleepy processes in control groups, and what the kernel itself says of their waits.

A process is born inside its control group (clone3 with CLONE_INTO_CGROUP), so that not one of its waits belongs
elsewhere. Its numbers are read when it is a zombie: no wait is under way then, and none will follow.
"""

import ctypes
import mmap
import os
import signal
import struct
import time

CGROUPS = "/sys/fs/cgroup"
SYS_CLONE3 = 435
CLONE_INTO_CGROUP = 0x200000000

# PyDLL keeps the interpreter's lock: the child must find it held.
_libc = ctypes.PyDLL(None, use_errno=True)


def spawn(cgroup, work, *arguments):
    """Starts work(*arguments) as a process of its own in a control group; returns its pid."""
    directory = os.open(f"{CGROUPS}/{cgroup}", os.O_RDONLY | os.O_DIRECTORY)
    # flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup
    clone_args = struct.pack("11Q", CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, directory)
    pid = _libc.syscall(SYS_CLONE3, clone_args, len(clone_args))
    if pid < 0:
        raise OSError(ctypes.get_errno(), f"clone3 into {cgroup}")
    if pid == 0:
        status = 1
        try:
            work(*arguments)
            status = 0
        finally:
            os._exit(status)
    os.close(directory)
    return pid


class Schedstat:
    """run_delay and timeslices of one thread, cheap to read again and again."""

    def __init__(self, pid="self"):
        tid = os.getpid() if pid == "self" else pid
        self.fd = os.open(f"/proc/{pid}/task/{tid}/schedstat", os.O_RDONLY)

    def read(self):
        _, run_delay_ns, timeslices = os.pread(self.fd, 64, 0).split()
        return int(run_delay_ns), int(timeslices)


class Waits:
    """What a process says of its own waits, in memory that its parent shares: noting one is no system call."""

    ROW = struct.Struct("2Q")

    def __init__(self, most=4096):
        self.memory = mmap.mmap(-1, (most + 1) * self.ROW.size)
        self.count = 0

    def note(self, slices, delay_ns):
        self.count += 1
        self.ROW.pack_into(self.memory, self.count * self.ROW.size, slices, delay_ns)
        self.ROW.pack_into(self.memory, 0, self.count, 0)

    def rows(self):
        count, _ = self.ROW.unpack_from(self.memory, 0)
        return [self.ROW.unpack_from(self.memory, number * self.ROW.size) for number in range(1, count + 1)]


def hog(seconds, waits):
    """Computes until the clock says so, and notes every wait it suffered: each shows as one more timeslice."""
    stat = Schedstat()
    delay, slices = stat.read()
    waits.note(slices, delay)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        more_delay, more_slices = stat.read()
        if more_slices != slices:
            waits.note(more_slices - slices, more_delay - delay)
            delay, slices = more_delay, more_slices


def sleeper(naps, nap_seconds):
    """Sleeps again and again; each wakeup is one wait."""
    for _ in range(naps):
        time.sleep(nap_seconds)


def settle(pid):
    """Waits for a process to end, reads what the kernel counted of it, and only then lets it go."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    delay_ns, slices = Schedstat(pid).read()
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        switches = dict(line.split(":", 1) for line in file)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise SystemExit(f"process {pid} failed")
    return {
        "delay_ns": delay_ns,
        "timeslices": slices,
        "involuntary": int(switches["nonvoluntary_ctxt_switches"]),
    }


def single_waits(waits, settled):
    """The length in seconds of every wait of a process, and how many of its looks saw several waits as one."""
    rows = waits.rows()
    rows.append((settled["timeslices"] - sum(row[0] for row in rows), settled["delay_ns"] - sum(row[1] for row in rows)))
    return [delay_ns / 1e9 for slices, delay_ns in rows if slices == 1], sum(slices > 1 for slices, _ in rows)


class Families:
    """OpenMetrics text with one sample a line, families in the order in which they were first named."""

    def __init__(self):
        self.samples = {}

    def gauge(self, name, value, **labels):
        text = ",".join(f'{label}="{label_value}"' for label, label_value in sorted(labels.items()))
        self.samples.setdefault(name, []).append(f"{name}{{{text}}} {value}\n")

    def print(self):
        for name, lines in self.samples.items():
            print(f"# TYPE {name} gauge\n{''.join(lines)}", end="")
        print("# EOF")


def add_group(families, cgroup, settled):
    """The sums of a control group's processes."""
    labels = {"cgroup": f"/{cgroup}"}
    families.gauge("kernel_wait_seconds", sum(one["delay_ns"] for one in settled) / 1e9, **labels)
    families.gauge("kernel_timeslices", sum(one["timeslices"] for one in settled), **labels)
    families.gauge("kernel_involuntary", sum(one["involuntary"] for one in settled), **labels)


def add_single_waits(families, cgroup, noted, settled):
    """Each wait of a control group's processes by itself."""
    number = merged = 0
    for waits, one in zip(noted, settled, strict=True):
        lengths, more = single_waits(waits, one)
        merged += more
        for wait in lengths:
            number += 1
            families.gauge("single_wait_seconds", wait, cgroup=f"/{cgroup}", n=number)
    families.gauge("merged_waits", merged, cgroup=f"/{cgroup}")
