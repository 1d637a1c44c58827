"""Control groups that come and go, as those of short jobs do."""

import os
import time

import sched

EARLY = 24
LATE = 3
NAPS = 10
NAP_SECONDS = 0.005
# Long enough for the daemon to look twice for those that are gone.
PAUSE_SECONDS = 70


def job(name):
    os.mkdir(f"{sched.CGROUPS}/{name}")
    settled = sched.settle(sched.spawn(name, sched.sleeper, NAPS, NAP_SECONDS))
    os.rmdir(f"{sched.CGROUPS}/{name}")
    return settled["timeslices"]


timeslices = sum(job(f"early{number}") for number in range(EARLY))
time.sleep(PAUSE_SECONDS)
timeslices += sum(job(f"late{number}") for number in range(LATE))
families = sched.Families()
families.gauge("kernel_timeslices", timeslices, cgroup="(gone)")
families.print()
