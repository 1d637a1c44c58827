"""Fills the maps of the calls probe and of the activity probe, goes on, makes room again, and says what must be counted
and what lost.

How many places are taken before is asked of the daemon; from then on places go to whoever comes first, and stay theirs.
"""

import collections
import os
import subprocess

from daemon import Daemon
from sched import CGROUPS, Families

PROGRAM = "/lab/full/triangle"
CALLS_PLACES, CGROUP_PLACES, RESULT_PLACES = 3, 4, 12
CROWD = 9
FAILURES = {"ENOENT": "/nothing", "ENOTDIR": "/dev/null/below"}

daemon = Daemon()
lost = collections.Counter()


def start(calls, pause_seconds=0):
    environment = {**os.environ, "GFORTRAN_UNBUFFERED_PRECONNECTED": "1"}
    return subprocess.Popen([PROGRAM, str(calls), str(pause_seconds)], stdout=subprocess.PIPE, env=environment)


def lines(process):
    number = sum(1 for _ in process.stdout)
    assert process.wait() == 0
    return number


def calls():
    """As many processes as there are places, others meanwhile, and one when there is room again. How many were kept."""
    settled = [start(1, 1000) for _ in range(CALLS_PLACES)]
    kept = sum(1 for process in settled if process.stdout.readline())
    lost["map_full"] += lines(start(40)) + lines(start(30))
    # Who has a place keeps it, and nobody else gets it.
    for process in settled:
        process.kill()
        process.wait()
    daemon.read()
    return kept + lines(start(25))


class Group:
    """A control group, and what is done in it."""

    def __init__(self, name):
        self.path = f"{CGROUPS}/{name}"
        os.mkdir(self.path)
        self.door = os.open(f"{self.path}/cgroup.procs", os.O_WRONLY)

    def visit(self, door_out, times):
        """Moves there, asks for its parent and fails to open files, and moves out. Every call in there is counted."""
        os.write(self.door, b"0")
        for _ in range(times):
            os.getppid()
        for path in FAILURES.values():
            for _ in range(times):
                try:
                    os.open(path, os.O_RDONLY)
                except OSError:
                    pass
        os.write(door_out, b"0")
        os.close(self.door)
        # The write that leaves is the last call in the group.
        return {"process": times, "file": len(FAILURES) * times + 1}


def activity():
    """More groups than there are places. What was kept of their calls and of their opens."""
    reading = daemon.read()
    free_groups, free_results = (
        places - int(reading.sum("probelab_map_entries", map=kind))
        for kind, places in (("cgroups", CGROUP_PLACES), ("results", RESULT_PLACES))
    )
    assert 0 < free_groups < CROWD and 0 < free_results < len(FAILURES) * CROWD, (free_groups, free_results)
    door_out = os.open(f"{CGROUPS}/cgroup.procs", os.O_WRONLY)
    kept_calls, kept_opens = collections.Counter(), collections.Counter()
    crowd = [Group(f"crowd-{number}") for number in range(CROWD)]
    for number, group in enumerate(crowd):
        times = 5 + number
        made = group.visit(door_out, times)
        if number < free_groups:
            kept_calls += made
        else:
            lost["cgroups_full"] += sum(made.values())
        for result in FAILURES:
            if free_results > 0:
                kept_opens[result] += times
            else:
                lost["results_full"] += times
            free_results -= 1
    reading = daemon.read()
    full = {kind: int(reading.sum("probelab_map_entries", map=kind)) for kind in ("cgroups", "results")}
    for group in crowd:
        os.rmdir(group.path)
    # It must find them gone and idle: that takes two looks.
    daemon.read()
    daemon.read()
    late = Group("late")
    late_calls = late.visit(door_out, 31)
    return full, kept_calls, kept_opens, late_calls


def main():
    kept = calls()
    full, kept_calls, kept_opens, late_calls = activity()
    families = Families()
    for reason in ("map_full", "cgroups_full", "results_full"):
        families.gauge("lost", lost[reason], reason=reason)
    families.gauge("kept_calls", kept, program=PROGRAM)
    for name, value in full.items():
        families.gauge("full", value, map=name)
    for kind in ("other", "file", "network", "process", "memory", "time"):
        families.gauge("calls", kept_calls[kind], **{"cgroup": "(gone)", "class": kind})
        families.gauge("calls_of_late", late_calls.get(kind, 0), **{"cgroup": "/late", "class": kind})
    for result in FAILURES:
        families.gauge("opens", kept_opens[result], cgroup="(gone)", result=result)
        families.gauge("opens_of_late", 31, cgroup="/late", result=result)
    families.print()


main()
