"""Starts a daemon for each kind of probe with exactly the capabilities that it says it needs, and with all of those but
one: does it run, does it say which one it lacks, and is nothing attached then?

The table is the daemon's own; whether it is true is up to the kernel. A daemon gets its capabilities by what its bounding
set leaves of root's, as the one of a container does.
"""

import json
import pathlib
import resource
import subprocess

import left
import sched
from confine import NUMBERS, confine
from daemon import Daemon, OwnDaemon, wait_for

PROBED = "/lab/bin/probed"
OWN_PORT = 9465
PARANOID = pathlib.Path("/proc/sys/kernel/perf_event_paranoid")
# What may be left once everything is attached: maps are read with it on some kernels.
MAY_KEEP = 1 << NUMBERS["CAP_BPF"]
SPECS = {
    "ActivityProbe": "{}",
    "CallsProbe of a program": "{program: /lab/privileges/triangle, symbol: area_}",
    "CallsProbe of the kernel": "{kprobe: __x64_sys_getpgid}",
    "ConnectProbe": "{}",
    "DropProbe": "{interface: lab0}",
    "HttpProbe": "{interface: lab0, ports: [8000]}",
    "RunqProbe": "{}",
    "XdpBlocklist": "{interface: lab0}",
}


class ConfinedDaemon(OwnDaemon):
    """One that has some capabilities and no others."""

    def __init__(self, manifest, loader, capabilities):
        super().__init__(manifest, loader, OWN_PORT)
        self.capabilities = capabilities
        self.words = ""

    def begin(self):
        self.process = subprocess.Popen(
            self.command, stderr=subprocess.PIPE, text=True, preexec_fn=self.enter)

    def enter(self):
        """With less locked memory than any probe's maps take, so that raising the limit is needed where it counts."""
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))
        confine(self.capabilities)

    def runs(self):
        """Whether it comes up rather than end; what it says in the latter case is kept."""
        self.begin()
        wait_for(lambda: self.process.poll() is not None or self.get("/ready") is not None)
        if self.process.poll() is None:
            return True
        self.words = self.process.stderr.read()
        return False

    def kept(self):
        """The capabilities that it still has, as bits."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["CapEff"], 16) | int(lines["CapPrm"], 16)


def label(words):
    """The end of what was said, as a label's value."""
    return words[-300:].replace("\\", "/").replace('"', "'").replace("\n", " ")


def write_manifest(kind):
    path = "/tmp/probe.yaml"
    with open(path, "w", encoding="ascii") as file:
        file.write(f"apiVersion: probelab.dev/v1alpha1\nkind: {kind.split()[0]}\n"
                   f"metadata: {{name: it}}\nspec: {SPECS[kind]}\n")
    return path


def try_kind(kind, needed, loader, before, families):
    manifest, what = write_manifest(kind), {"kind": kind, "paranoid": PARANOID.read_text().strip()}
    daemon = ConfinedDaemon(manifest, loader, needed)
    runs = daemon.runs()
    families.gauge("runs_with_these", int(runs), **what, words=label(daemon.words))
    if runs:
        families.gauge("kept_beyond_reading", daemon.kept() & ~MAY_KEEP, **what)
        daemon.end()
    for lacking in needed:
        daemon = ConfinedDaemon(manifest, loader, [name for name in needed if name != lacking])
        runs = daemon.runs()
        families.gauge("runs_without", int(runs), **what, lacking=lacking)
        if runs:
            daemon.end()
        is_named = f"{lacking} (" in daemon.words
        families.gauge("named", int(is_named), **what, lacking=lacking, words=label(daemon.words))
        for object_kind, number in left.beyond(before).items():
            families.gauge("left", number, lacking=lacking, object=object_kind, **what)


def table(loader):
    """What the daemon says that each kind needs."""
    rows = json.loads(subprocess.check_output([PROBED, "capabilities", "--loader", loader, "--json"]))
    assert {row["kind"] for row in rows} == set(SPECS)
    return {row["kind"]: [need["capability"] for need in row["needs"]] for row in rows}


def main():
    loader, families = Daemon().loader(), sched.Families()
    before = left.everything()
    for kind, needed in table(loader).items():
        try_kind(kind, needed, loader, before, families)
    PARANOID.write_text("2")
    for kind, needed in table(loader).items():
        if kind.startswith("CallsProbe"):
            try_kind(kind, needed, loader, before, families)
    families.print()


main()
