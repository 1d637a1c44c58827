"""The same slowness twice: a process beside a busy neighbour, then one that its own CPU limit stops."""

import sched

SECONDS = 0.6


def cpu_stat(cgroup):
    with open(f"{sched.CGROUPS}/{cgroup}/cpu.stat", encoding="ascii") as file:
        return {name: int(number) for name, number in map(str.split, file)}


families = sched.Families()
beside = {cgroup: sched.spawn(cgroup, sched.hog, SECONDS, sched.Waits()) for cgroup in ("victim", "neighbour")}
for cgroup, pid in beside.items():
    sched.add_group(families, cgroup, [sched.settle(pid)])
sched.add_group(families, "limited", [sched.settle(sched.spawn("limited", sched.hog, SECONDS, sched.Waits()))])
for cgroup in ("victim", "neighbour", "limited"):
    stat = cpu_stat(cgroup)
    families.gauge("kernel_throttled_seconds", stat["throttled_usec"] / 1e6, cgroup=f"/{cgroup}")
    families.gauge("kernel_throttled_periods", stat["nr_throttled"], cgroup=f"/{cgroup}")
families.print()
