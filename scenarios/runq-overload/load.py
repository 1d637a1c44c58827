"""More tasks than the probe has room for, all of them seldom busy and often woken."""

import sched

CROWD = 40
NAPS = 15
NAP_SECONDS = 0.03
# The kernel may take its clock of the wakeup before for that of the switch.
CLOCK_BLUR_SECONDS = 0.0001

families = sched.Families()
crowd = [sched.spawn("crowd", sched.sleeper, NAPS, NAP_SECONDS) for _ in range(CROWD)]
settled = [sched.settle(pid) for pid in crowd]
sched.add_group(families, "crowd", settled)
longest_ns = max(one["delay_ns"] for one in settled)
families.gauge("kernel_longest_possible_wait_seconds", longest_ns / 1e9 + CLOCK_BLUR_SECONDS, cgroup="/crowd")
families.print()
