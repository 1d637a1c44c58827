"""Makes processes end in a known way, a known number of times each, and prints what wait(2) told their parent."""

import ctypes
import os
import signal
import threading
import time

GROUP = "/sys/fs/cgroup/exits/cgroup.procs"
# A thread's own end, which the C library has no function for: the system call by its number.
SYS_EXIT = {"x86_64": 60, "aarch64": 93}[os.uname().machine]


def threads(number):
    for _ in range(number):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()


def status(code, number=0):
    threads(number)
    os._exit(code)


def by_signal(which, number=0):
    threads(number)
    os.kill(os.getpid(), which)
    time.sleep(60)


def after_threads(code):
    """The threads end before their process does."""
    others = [threading.Thread(target=time.sleep, args=(0.01,)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    os._exit(code)


def first_thread_first(code):
    """The thread that the process began with ends, and the process lives on."""

    def later():
        time.sleep(0.1)
        os._exit(code)

    threading.Thread(target=later).start()
    ctypes.CDLL(None).syscall(SYS_EXIT, 99)


def executed_by_thread(code):
    """A thread executes a program: the others end, the process lives on."""
    command = ["busybox", "sh", "-c", f"exit {code}"]
    threading.Thread(target=os.execvp, args=("busybox", command)).start()
    time.sleep(60)


# How often, what is done, and how it must end.
ENDS = [
    (4, lambda: status(0), ("status", 0)),
    (3, lambda: status(1), ("status", 1)),
    (1, lambda: status(255), ("status", 255)),
    (2, lambda: status(5, number=3), ("status", 5)),
    (2, lambda: after_threads(8), ("status", 8)),
    (3, lambda: first_thread_first(6), ("status", 6)),
    (2, lambda: executed_by_thread(7), ("status", 7)),
    (3, lambda: by_signal(signal.SIGTERM), ("signal", signal.SIGTERM)),
    (2, lambda: by_signal(signal.SIGKILL, number=3), ("signal", signal.SIGKILL)),
    (1, lambda: by_signal(signal.SIGABRT), ("signal", signal.SIGABRT)),
]


def child(act):
    """Runs what must end the process, in the group that is counted. What wait(2) says of it is returned."""
    number = os.fork()
    if number == 0:
        with open(GROUP, "w", encoding="ascii") as file:
            file.write("0")
        act()
        os._exit(98)
    told = os.waitpid(number, 0)[1]
    if os.WIFSIGNALED(told):
        return "signal", os.WTERMSIG(told)
    return "status", os.WEXITSTATUS(told)


def main():
    lines = []
    for often, act, wanted in ENDS:
        for _ in range(often):
            told = child(act)
            assert told == wanted, f"{told}, not {wanted}"
        by, code = wanted
        lines.append(f'ended_total{{cgroup="/exits",by="{by}",code="{int(code)}"}} {often}')
    print("# TYPE ended counter", *lines, "# EOF", sep="\n")


main()
