"""Two processes that compute, in one control group, and one that mostly sleeps, in another."""

import time

import sched

HOG_SECONDS = 1.2
NAPS = 60
NAP_SECONDS = 0.02

noted = [sched.Waits(), sched.Waits()]
hogs = []
for waits in noted:
    hogs.append(sched.spawn("hogs", sched.hog, HOG_SECONDS, waits))
    # Out of its way until it has had its first look at itself.
    time.sleep(0.02)
sleeper = sched.spawn("sleeper", sched.sleeper, NAPS, NAP_SECONDS)

families = sched.Families()
settled = [sched.settle(pid) for pid in hogs]
sched.add_group(families, "hogs", settled)
sched.add_single_waits(families, "hogs", noted, settled)
sched.add_group(families, "sleeper", [sched.settle(sleeper)])
families.print()
