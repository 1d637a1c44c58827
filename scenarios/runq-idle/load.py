"""A machine with next to nothing to do: one process that sleeps."""

import sched

NAPS = 1500
NAP_SECONDS = 0.002
# Before and after the load, while the probe is attached already and still.
SWITCHES_AROUND = 900


def switches():
    """Every switch of every processor since the start, those to and from the idle task included."""
    with open("/proc/stat", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("ctxt "))


families = sched.Families()
before = switches()
sched.add_group(families, "sleeper", [sched.settle(sched.spawn("sleeper", sched.sleeper, NAPS, NAP_SECONDS))])
# Each nap leaves the processor idle, and the end of each is a switch from the idle task.
families.gauge("kernel_most_waits", switches() - before - NAPS + SWITCHES_AROUND)
families.print()
