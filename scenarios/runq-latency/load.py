"""Two processes that compute, in one control group, and one that mostly sleeps, in another."""

import sched

HOG_SECONDS = 1.2
NAPS = 60
NAP_SECONDS = 0.02
# The kernel may take its clock of the wakeup before for that of the switch.
CLOCK_BLUR_NS = 400_000

noted = [sched.Waits(), sched.Waits()]
hogs = [sched.spawn("hogs", sched.hog, HOG_SECONDS, waits) for waits in noted]
sleeper = sched.spawn("sleeper", sched.sleeper, NAPS, NAP_SECONDS)

families = sched.Families()
settled = [sched.settle(pid) for pid in hogs]
sched.add_group(families, "hogs", settled)
sched.add_buckets(families, "hogs", noted, settled, CLOCK_BLUR_NS)
sched.add_group(families, "sleeper", [sched.settle(sleeper)])
families.print()
