"""A machine with next to nothing to do: one process that sleeps."""

import sched

NAPS = 300
NAP_SECONDS = 0.01

families = sched.Families()
sched.add_group(families, "sleeper", [sched.settle(sched.spawn("sleeper", sched.sleeper, NAPS, NAP_SECONDS))])
families.print()
