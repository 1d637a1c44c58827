"""Busy and sleepy processes in control groups, and what the kernel itself says of their waits.

A process is born inside its control group (clone3 with CLONE_INTO_CGROUP), so that not one of its waits belongs
elsewhere. Its numbers are read when it is a zombie and has left the CPU for good: no wait will follow.
"""

import ctypes
import mmap
import os
import signal
import struct
import time

CGROUPS = "/sys/fs/cgroup"
# Longer than anyone in these scenarios waits for a CPU whose other tasks sleep.
LAST_WAIT_SECONDS = 0.05
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
    # Who waits for it is woken by a zombie that still has the CPU, and may take it away: one more wait.
    time.sleep(LAST_WAIT_SECONDS)
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


def all_rows(waits, settled):
    """Every wait of a process, as (how many, their sum in nanoseconds): mostly one by one, what came after the last look
    as one row."""
    rows = waits.rows()
    rows.append((settled["timeslices"] - sum(row[0] for row in rows), settled["delay_ns"] - sum(row[1] for row in rows)))
    return [row for row in rows if row[0] > 0]


def at_most(rows, bound_ns, blur_ns):
    """How many of these waits are no longer than the bound: the least and the most that rows of several waits, and a
    clock that may be off by `blur_ns` with every wait, leave possible."""
    least = most = 0
    for count, sum_ns in rows:
        longest_sum_ns, shortest_sum_ns = sum_ns + count * blur_ns, sum_ns - count * blur_ns
        above = 0 if longest_sum_ns <= bound_ns else min(count, longest_sum_ns // bound_ns)
        least += count - above
        most += count if shortest_sum_ns <= count * bound_ns else count - 1
    return least, most


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


# Upper bounds of the buckets to compare, in seconds as text.
BOUNDS = (
    "0.000001 0.0000025 0.000005 0.00001 0.000025 0.00005 0.0001 0.00025 0.0005 0.001 0.0025 0.005 0.01 0.025 0.05 0.1 "
    "0.25 0.5 1"
).split()


def add_buckets(families, cgroup, noted, settled, blur_ns):
    """What a cumulative histogram of a control group's waits can be."""
    rows = [row for waits, one in zip(noted, settled, strict=True) for row in all_rows(waits, one)]
    for bound in BOUNDS:
        least, most = at_most(rows, round(float(bound) * 1e9), blur_ns)
        families.gauge("kernel_waits_at_most_least", least, cgroup=f"/{cgroup}", bound=bound)
        families.gauge("kernel_waits_at_most_most", most, cgroup=f"/{cgroup}", bound=bound)
    for family in ("kernel_waits_at_most_least", "kernel_waits_at_most_most"):
        families.gauge(family, sum(count for count, _ in rows), cgroup=f"/{cgroup}", bound="+Inf")
    families.gauge("kernel_waits_seen_alone", sum(count == 1 for count, _ in rows), cgroup=f"/{cgroup}")
