"""Injects faults by a schedule: first with labels, to learn from, then again in another order, to be told apart.

What is right is the schedule alone. How well the states agree with it is worked out here, pair by pair, without the
program that is tested.
"""

import itertools
import json
import os
import socket
import subprocess
import threading
import time

PROBED = "/lab/bin/probed"
EVERY_SECONDS = 1
REQUESTS = 4
# Words with a process that answers at once, in each slot. Short waits are what a system is full of: among them, those of
# whoever watches it are too few to move a percentile.
WORDS = 1500
# Slots of a second each. A change costs a slot, which is of neither.
LEARN = [("quiet", 8), ("exec-storm", 5), ("open-storm", 5), ("quiet", 4), ("cpu-hog", 5), ("http-errors", 5)]
TELL = [("quiet", 4), ("http-errors", 4), ("quiet", 3), ("exec-storm", 4), ("cpu-hog", 4), ("quiet", 4),
        ("open-storm", 4), ("flood", 3)]
UNLEARNT = "flood"
# When in its slot a fault is made: in the middle of a window.
OFFSET_SECONDS = 0.3
# How far from a slot's edge a scrape may be.
SLACK_SECONDS = 0.1


class Server(threading.Thread):
    """Answers one request after the other on one connection."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 8000))
        self.status = b"200 OK"

    def run(self):
        connection, _ = self.listener.accept()
        while connection.recv(4096):
            connection.sendall(b"HTTP/1.1 " + self.status + b"\r\nContent-Length: 2\r\n\r\nok")


class System:
    """What is the matter, once in each slot."""

    def __init__(self):
        self.server = Server()
        self.server.start()
        self.client = socket.create_connection(("127.0.0.1", 8000))
        self.friend, friend = socket.socketpair()
        if os.fork() == 0:
            self.friend.close()
            while friend.recv(1):
                friend.sendall(b".")
            os._exit(0)
        friend.close()
        self.sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sink.bind(("127.0.0.1", 0))

    def requests(self, status):
        self.server.status = status
        for _ in range(REQUESTS):
            self.client.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
            self.client.recv(4096)

    def talk(self):
        for _ in range(WORDS):
            self.friend.sendall(b".")
            self.friend.recv(1)

    def execute(self, count):
        for _ in range(count):
            pid = os.posix_spawn("/bin/true", ["true"], {})
            os.waitpid(pid, 0)

    def open_files(self, count):
        for _ in range(count):
            os.close(os.open("/proc/self/stat", os.O_RDONLY))

    def work(self, fault):
        self.requests(b"500 Internal Server Error" if fault == "http-errors" else b"200 OK")
        self.talk()
        self.execute(40 if fault == "exec-storm" else 1)
        self.open_files(1500 if fault == "open-storm" else 20)
        if fault == "cpu-hog":
            hogs = [os.fork() for _ in range(3)]
            for at, pid in enumerate(hogs):
                if pid == 0:
                    end = time.monotonic() + 0.15
                    while time.monotonic() < end:
                        pass
                    os._exit(0)
            for pid in hogs:
                os.waitpid(pid, 0)
        if fault == "flood":
            for _ in range(400):
                self.sink.sendto(b"x", self.sink.getsockname())

    def follow(self, schedule, start):
        """Goes through a schedule from a moment on; says from when to when each part was."""
        parts, slot = [], 0
        for fault, slots in schedule:
            first = slot
            for _ in range(slots + 1):
                time.sleep(max(0.0, start + slot * EVERY_SECONDS + OFFSET_SECONDS - time.monotonic()))
                self.work(fault)
                slot += 1
            # The last slot is where the windows of this part and of the next one touch.
            parts.append((start + first * EVERY_SECONDS - SLACK_SECONDS,
                          start + (slot - 1) * EVERY_SECONDS + SLACK_SECONDS, fault))
        return parts


def wait_for(condition):
    for _ in range(1500):
        found = condition()
        if found is not None:
            return found
        time.sleep(0.02)
    raise SystemExit("waited for nothing")


def first_scrape():
    """When the recording began."""
    try:
        with open("recording.txt", encoding="ascii") as file:
            words = file.readline().split()
    except FileNotFoundError:
        return None
    return float(words[2]) if len(words) == 3 else None


def learn(system):
    slots = sum(slots + 1 for _, slots in LEARN)
    recorder = subprocess.Popen(
        [PROBED, "state", "record", "--every", str(EVERY_SECONDS), "--for", str(slots), "recording.txt"])
    parts = system.follow(LEARN, wait_for(first_scrape))
    assert recorder.wait() == 0
    with open("labels.txt", "w", encoding="ascii") as file:
        for start, end, fault in parts:
            print(start, end, "good" if fault == "quiet" else f"bad {fault}", file=file)
    for name in ("model.toml", "again.toml"):
        subprocess.run([PROBED, "state", "learn", "recording.txt", "--labels", "labels.txt", "--out", name],
                       check=True, stdout=subprocess.DEVNULL)


def tell(system):
    """Windows of the second part with what was the matter in each, and what was said of it."""
    slots = sum(slots + 1 for _, slots in TELL)
    watcher = subprocess.Popen(
        [PROBED, "state", "watch", "--state-model", "model.toml", "--window", str(EVERY_SECONDS),
         "--for", str(slots + 1), "--json"], stdout=subprocess.PIPE, text=True)
    parts = system.follow(TELL, json.loads(watcher.stdout.readline())["to_seconds"])
    pairs = []
    for line in watcher.stdout:
        window = json.loads(line)
        inside = [fault for start, end, fault in parts
                  if start <= window["from_seconds"] and window["to_seconds"] <= end]
        if len(inside) == 1:
            pairs.append((inside[0], window))
    assert watcher.wait() == 0
    return pairs


def agreement(one, other):
    """The adjusted Rand index, from its definition: pairs of windows that are together in both, beyond chance."""
    pairs = list(itertools.combinations(range(len(one)), 2))
    by_one = [one[a] == one[b] for a, b in pairs]
    by_other = [other[a] == other[b] for a, b in pairs]
    together = sum(a and b for a, b in zip(by_one, by_other))
    expected = sum(by_one) * sum(by_other) / len(pairs)
    return (together - expected) / ((sum(by_one) + sum(by_other)) / 2 - expected)


def show(name, samples):
    print(f"# TYPE {name} gauge")
    for label, value in samples.items():
        print(f'{name}{{{label}}} {value}')


def main():
    system = System()
    learn(system)
    pairs = tell(system)
    learnt = [(fault, window) for fault, window in pairs if fault != UNLEARNT]
    truth = [fault for fault, _ in learnt]
    said = [window["cluster"] if window["state"] != "unknown" else "unknown" for _, window in learnt]
    half = len(truth) // 2
    show("adjusted_rand_index", {
        'schedule="injected"': agreement(truth, said),
        # The same answers about another time: chance alone.
        'schedule="shifted"': agreement(truth[half:] + truth[:half], said),
    })
    expected = {"quiet": "good", UNLEARNT: "unknown"}
    right, windows = {}, {}
    for fault, window in pairs:
        label = f'fault="{fault}"'
        windows[label] = windows.get(label, 0) + 1
        right[label] = right.get(label, 0) + (window["state"] == expected.get(fault, "bad"))
    show("told_windows", windows)
    show("right_states", right)
    movers = {"exec-storm": "execs_per_second", "open-storm": "opens_per_second", "cpu-hog": "runq_p99_seconds",
              "http-errors": "http_errors_per_second", "flood": "drops_per_second packets_per_second"}
    named = {f'fault="{fault}"': 0 for fault in movers}
    for fault, window in pairs:
        if fault in movers:
            named[f'fault="{fault}"'] += window["movers"][0]["feature"] in movers[fault].split()
    show("right_features", named)
    with open("model.toml", encoding="ascii") as one, open("again.toml", encoding="ascii") as other:
        show("model_differs", {'from="again"': int(one.read() != other.read())})
    print("# EOF")


main()
