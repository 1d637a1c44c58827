"""Runs the image of deploy/Containerfile as deploy/daemonset.yaml says: a read-only root with nothing but the program, the
manifest of the ConfigMap, the node's network, namespaces of its own for mounts and processes, no new privileges, and the
capabilities that are added and no others. Prints what that daemon serves after a known number of requests.

The seccomp profile of the container runtime is not applied here.
"""

import ctypes
import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import traceback

from confine import NUMBERS, confine
from daemon import Daemon, wait_for
from frames import Namespace

ADDRESS, PORT = "10.7.0.1", 8080
METRICS_PORT = 9464
REQUESTS = {200: 40, 404: 20}
ROOT = pathlib.Path("/tmp/image")
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
PR_SET_NO_NEW_PRIVS = 38

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source, target, kind, flags):
    words = [word and str(word).encode() for word in (source, target, kind)]
    check(libc.mount(*words, ctypes.c_ulong(flags), None))


class Deployment:
    """What the file says. Its lines are looked for as they stand there: a change of their form is noticed."""

    def __init__(self, path):
        self.text = pathlib.Path(path).read_text(encoding="utf-8")

    def block(self, head):
        """The lines that are indented more than the line `head`, without that indentation."""
        found = re.search(rf"^( *){re.escape(head)}\n((?:\1 +\S.*\n|\n)+)", self.text, re.M)
        lines = found[2].splitlines()
        indent = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        return [line[indent:] for line in lines]

    def items(self, head):
        """A list of single words, without what is commented out."""
        lines = [line.split(" #")[0].strip() for line in self.block(head)]
        return [line.removeprefix("- ") for line in lines if line.startswith("- ")]

    def says(self, line):
        return re.search(rf"^ *{re.escape(line)}$", self.text, re.M) is not None


def build_root(deployment):
    """What the image and the volume hold."""
    program = ROOT / "usr/local/bin/probed"
    for folder in (program.parent, ROOT / "etc/probed", ROOT / "proc", ROOT / "sys"):
        folder.mkdir(parents=True)
    program.touch()
    manifest = "\n".join(deployment.block("probes.yaml: |"))
    (ROOT / "etc/probed/probes.yaml").write_text(manifest, encoding="utf-8")


def enter(capabilities):
    """Makes this process, which is about to become the daemon, one of a container."""
    # The service of containerd has no limit of locked memory, and its containers inherit that.
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.unshare(os.CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount(ROOT, ROOT, None, MS_BIND)
    mount("/lab/bin/probed", ROOT / "usr/local/bin/probed", None, MS_BIND)
    mount("proc", ROOT / "proc", "proc", 0)
    mount("sysfs", ROOT / "sys", "sysfs", MS_RDONLY)
    mount("none", ROOT, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    os.chroot(ROOT)
    os.chdir("/")
    confine(capabilities)
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def tell(function, *arguments):
    """Before a process becomes another program, nobody hears what it raises."""
    try:
        function(*arguments)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        raise


def ask(client, status):
    client.sendall(b"GET /status/%d HTTP/1.1\r\nHost: x\r\n\r\n" % status)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += client.recv(65536)


def main():
    deployment = Deployment("daemonset.kubernetes")
    for line in ("hostNetwork: true", "runAsUser: 0", "allowPrivilegeEscalation: false", "readOnlyRootFilesystem: true",
                 "drop: [ALL]"):
        assert deployment.says(line), line
    capabilities = [f"CAP_{name}" for name in deployment.items("add:")]
    assert capabilities and set(capabilities) <= set(NUMBERS), capabilities
    arguments = [word.replace("$(NODE_ADDRESS)", ADDRESS) for word in deployment.items("args:")]
    build_root(deployment)

    daemon = Daemon(METRICS_PORT)
    daemon.address = (ADDRESS, METRICS_PORT)
    # From here on, children are in a namespace of processes of their own: the daemon is its first.
    os.unshare(os.CLONE_NEWPID)
    try:
        process = subprocess.Popen(["/usr/local/bin/probed", *arguments], preexec_fn=lambda: tell(enter, capabilities))
    except subprocess.SubprocessError:
        sys.exit("the container could not be entered")
    wait_for(lambda: process.poll() is not None or daemon.get("/ready") is not None)
    assert process.poll() is None, "the daemon has ended"
    with Namespace("generator"):
        client = socket.create_connection((ADDRESS, PORT))
    for status, count in REQUESTS.items():
        for _ in range(count):
            ask(client, status)
    print(daemon.get("/metrics"), end="")
    process.kill()
    process.wait()


main()
