"""Makes a known number of events of each kind and prints how many, by its own count; switches by the kernel's."""

import os
import socket
import subprocess
import threading
import time

CONNECTS, EXECS, OPENS, CALLS = 100, 50, 500, 500


def switches():
    """Context switches of this machine since it booted."""
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            if line.startswith("ctxt "):
                return int(line.split()[1])
    raise RuntimeError("/proc/stat counts no context switches")


def connect():
    listener = socket.create_server(("127.0.0.1", 0))

    def accept():
        for _ in range(CONNECTS):
            listener.accept()[0].close()

    server = threading.Thread(target=accept)
    server.start()
    for _ in range(CONNECTS):
        socket.create_connection(listener.getsockname()).close()
    server.join()


def execute():
    for _ in range(EXECS):
        if os.posix_spawn("/bin/true", ["true"], {}) == 0:
            raise RuntimeError("nothing was started")
        os.wait()


def open_files():
    for _ in range(OPENS):
        os.close(os.open("/proc/self/stat", os.O_RDONLY))


def call():
    subprocess.run(["./triangle", str(CALLS), "0"], stdout=subprocess.DEVNULL, check=True)


def contend():
    """Two threads of their own processes want the one processor."""
    hogs = [subprocess.Popen(["timeout", "0.2", "sh", "-c", "while :; do :; done"]) for _ in range(2)]
    for hog in hogs:
        hog.wait()


before = switches()
for part in (contend, connect, execute, open_files, call):
    part()
    time.sleep(0.01)
print("# TYPE work_events counter")
for job, count in {
    "switch": switches() - before,
    "connect": CONNECTS,
    "exec": EXECS,
    "open": OPENS,
    "call": CALLS,
}.items():
    print(f'work_events_total{{job="{job}"}} {count}')
print("# EOF")
