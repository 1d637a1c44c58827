"""A probe daemon as its users see it: what it serves and, for one of a scenario's own, its life."""

import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

LABORATORY_PORT = 9464
PATIENCE_SECONDS = 30
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')


def wait_for(condition):
    waited = 0.0
    while not condition():
        assert waited < PATIENCE_SECONDS, "waited for nothing"
        time.sleep(0.01)
        waited += 0.01


def number():
    """The process number of the only daemon that runs."""
    names = pathlib.Path("/proc").glob("[0-9]*/comm")
    [found] = [int(name.parent.name) for name in names if name.read_text(encoding="ascii") == "probed\n"]
    return found


@contextlib.contextmanager
def stopped():
    """The only daemon that runs is stopped meanwhile, so that it empties no ring buffer while one is being filled."""
    daemon = number()
    os.kill(daemon, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(daemon, signal.SIGCONT)


class Reading:
    """What a daemon served at one moment."""

    def __init__(self, text):
        matches = [SAMPLE.match(line) for line in text.splitlines() if not line.startswith("#")]
        self.samples = [(match[1], dict(LABEL.findall(match[2] or "")), float(match[3])) for match in matches]

    def sum(self, name, **labels):
        """The sum of the samples of this name with these labels; 0 when there is none."""
        return sum(value for series, has, value in self.samples if series == name and labels.items() <= has.items())

    def values(self, name, label):
        """The values that a label has in the samples of this name."""
        return {has[label] for series, has, _ in self.samples if series == name}


class Daemon:
    """One that runs: the laboratory's, unless said otherwise."""

    def __init__(self, port=LABORATORY_PORT):
        self.address = ("127.0.0.1", port)

    def get(self, path):
        """Body of a successful answer, or nothing."""
        try:
            with socket.create_connection(self.address) as connection:
                connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                answer = b""
                while part := connection.recv(65536):
                    answer += part
        except OSError:
            return None
        head, _, body = answer.partition(b"\r\n\r\n")
        return body.decode() if b" 200 " in head.split(b"\r\n")[0] else None

    def read(self):
        return Reading(self.get("/metrics"))

    def loader(self):
        """The library that loads its programs."""
        (loader,) = self.read().values("probelab_build_info", "loader")
        return loader


class OwnDaemon(Daemon):
    """One that this scenario starts, kills and ends."""

    def __init__(self, manifest, loader, port):
        super().__init__(port)
        self.command = ["/lab/bin/probed", "run", "--manifest", manifest, "--loader", loader,
                        "--listen", "%s:%d" % self.address]
        self.process = None

    def begin(self):
        """Starts it, and does not wait until its hooks are in place."""
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)

    def start(self):
        self.begin()
        wait_for(lambda: self.get("/ready") is not None)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        assert self.process.wait() == -signal.SIGKILL

    def end(self):
        self.process.terminate()
        assert self.process.wait() == 0
