"""Runs programs that print one line per call of a function, in two control groups, and says how many lines came.

The lines are the oracle: nothing else knows how often the function was called. Of each program several processes run at
once, one is killed and started again, and one still runs at the end.
"""

import collections
import os
import signal
import subprocess
import sys

PROGRAMS = ["triangle-pie", "triangle-fixed", "triangle-stripped"]
CGROUPS = ["mill", "press"]
# A pause that no run outlasts.
FOREVER_SECONDS = 100_000

calls = collections.Counter()
by_process = collections.Counter()


def start(program, cgroup, count, pause_seconds=0):
    """Starts a program in a control group."""

    def enter():
        with open(f"/sys/fs/cgroup/{cgroup}/cgroup.procs", "w", encoding="ascii") as file:
            file.write("0")

    # Without buffers a line is out before the pause.
    environment = {**os.environ, "GFORTRAN_UNBUFFERED_PRECONNECTED": "1"}
    command = [f"/lab/drive/{program}", str(count), str(pause_seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=enter, env=environment)


def count(process, program, cgroup, lines=None):
    """Counts the lines of a process: all until it ends, or the given number."""
    seen = 0
    for line in process.stdout:
        assert line.startswith(b"triangle "), line
        seen += 1
        if seen == lines:
            break
    lives = lines is not None
    calls[program, cgroup] += seen
    by_process[program, str(process.pid) if lives else "(ended)"] += seen
    return seen


def drive(program):
    # At once, in both groups.
    running = [(start(program, cgroup, 200 + 50 * place), cgroup) for place, cgroup in enumerate(CGROUPS)]
    for process, cgroup in running:
        count(process, program, cgroup)
        assert process.wait() == 0
    # Killed in a pause after its third call, and started again.
    process = start(program, CGROUPS[0], 1000, 1)
    seen = count(process, program, CGROUPS[0], lines=3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    by_process[program, "(ended)"] += by_process.pop((program, str(process.pid)))
    assert seen == 3
    count(start(program, CGROUPS[0], 40), program, CGROUPS[0])
    # Still there at the end.
    for cgroup in CGROUPS:
        count(start(program, cgroup, 2, FOREVER_SECONDS), program, cgroup, lines=1)


def main():
    for program in sys.argv[1:] or PROGRAMS:
        drive(program)
    print("# TYPE calls counter")
    for (program, cgroup), number in sorted(calls.items()):
        print(f'calls_total{{program="/lab/drive/{program}",cgroup="/{cgroup}"}} {number}')
    print("# TYPE calls_by_process counter")
    for (program, process), number in sorted(by_process.items()):
        print(f'calls_by_process_total{{program="/lab/drive/{program}",process="{process}"}} {number}')
    print("# EOF")


main()
