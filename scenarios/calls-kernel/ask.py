"""Makes a known number of getpgid(2) calls, as often in one control group as in the other, and says how many."""

import os

CALLS = {"asks": 300, "asks/again": 200}


def main():
    print("# TYPE asked counter", flush=True)
    for cgroup, number in CALLS.items():
        child = os.fork()
        if child == 0:
            with open(f"/sys/fs/cgroup/{cgroup}/cgroup.procs", "w", encoding="ascii") as file:
                file.write("0")
            for _ in range(number):
                os.getpgid(0)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(f'asked_total{{cgroup="/{cgroup}"}} {number}')
    print("# EOF")


main()
