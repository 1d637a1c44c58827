"""The same slowness twice: a process beside a busy neighbour, then one that its own CPU limit stops."""

import time

import sched

SECONDS = 0.6
# Of cpu.max, as scenario.toml sets it: 20 ms in each.
PERIOD_SECONDS = 0.1
STOPS = 6
STOP_NS = 20_000_000


def cpu_stat(cgroup):
    with open(f"{sched.CGROUPS}/{cgroup}/cpu.stat", encoding="ascii") as file:
        return {name: int(number) for name, number in map(str.split, file)}


def hog_until_stopped(times, waits):
    """Computes until its limit has stopped it so often, and ends right after: before what it may use is used up again. A group
    that runs into its limit with its last instructions is stopped without a task, which the kernel counts."""
    stat = sched.Schedstat()
    delay, slices = stat.read()
    waits.note(slices, delay)
    while times:
        more_delay, more_slices = stat.read()
        if more_slices != slices:
            waits.note(more_slices - slices, more_delay - delay)
            times -= more_delay - delay > STOP_NS
            delay, slices = more_delay, more_slices


families = sched.Families()
beside = {cgroup: sched.spawn(cgroup, sched.hog, SECONDS, sched.Waits()) for cgroup in ("victim", "neighbour")}
for cgroup, pid in beside.items():
    sched.add_group(families, cgroup, [sched.settle(pid)])
limited = sched.spawn("limited", hog_until_stopped, STOPS, sched.Waits())
sched.add_group(families, "limited", [sched.settle(limited)])
# The kernel closes its account of a group with the period, and the probe reads it a moment after this does.
time.sleep(2 * PERIOD_SECONDS)
for cgroup in ("victim", "neighbour", "limited"):
    stat = cpu_stat(cgroup)
    families.gauge("kernel_throttled_seconds", stat["throttled_usec"] / 1e6, cgroup=f"/{cgroup}")
    families.gauge("kernel_throttled_periods", stat["nr_throttled"], cgroup=f"/{cgroup}")
families.print()
