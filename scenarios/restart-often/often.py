"""Kills a daemon that has every probe a hundred times while what it watches goes on, and starts it again: is each life's
count exact, is anything left behind, and is what is on the blocklist let through or not meanwhile, as the manifest says?

Half of the lives have a blocklist that ends with the daemon, half one that a file keeps in place.
"""

import collections
import os
import time

import left
import sched
from daemon import Daemon, OwnDaemon
from lives import COUNTED, NOT_WATCHED
from work import TWIN, Load

KILLS_OF_EACH = 50
OWN_PORT = 9465
KEPT = "/sys/fs/bpf/blocklist"
ROUNDS_UNDER_WAY = 3


class Often:
    """Life after life of one manifest."""

    def __init__(self, manifest, loader, load):
        self.manifest, self.load = manifest, load
        self.daemon = OwnDaemon(manifest, loader, OWN_PORT)
        self.sums = collections.Counter()
        # What a daemon that was killed leaves on purpose.
        self.kept = None

    def live(self, number, before):
        """One life, from the start to what is seen when it is over."""
        waits_before = self.load.worker.waits()
        self.daemon.start()
        done = self.load.work(1)
        done["waits"] = self.load.worker.waits() - waits_before
        self.compare(done, self.daemon.read())
        self.load.worker.begin(ROUNDS_UNDER_WAY)
        # Anywhere in what goes on.
        time.sleep(number % 17 * 0.0003)
        self.daemon.kill()
        self.load.worker.finish(ROUNDS_UNDER_WAY)
        self.sums["kills"] += 1
        self.look(before)

    def compare(self, done, reading):
        for what, (series, labels) in COUNTED.items():
            if what not in NOT_WATCHED["own"]:
                self.sums["done"] += done.get(what, 0)
                self.sums["miscounted"] += abs(done.get(what, 0) - int(reading.sum(series, **labels)))
        for name in ("probelab_lost_total", "probelab_hits_unaccounted"):
            self.sums["lost"] += int(reading.sum(name))

    def look(self, before):
        """Is there more than what was left at first, and does anybody decide about packets?"""
        now = left.beyond(before, self.kept)
        if self.kept is None and os.path.exists(KEPT):
            self.kept = now
        for kind, more in now.items():
            self.sums["stray_objects"] += abs(more - (self.kept or {}).get(kind, 0))
        self.sums["stray_breakpoints"] += left.breakpoints(TWIN)
        self.load.work(1)
        sent, arrived = self.load.listed
        self.sums["listed_sent"] += sent
        self.sums["listed_arrived"] += arrived

    def add(self, families):
        for name in ("kills", "done", "miscounted", "lost", "stray_objects", "stray_breakpoints", "listed_sent",
                     "listed_arrived"):
            families.gauge(name, self.sums[name], manifest=self.manifest)
        families.gauge("kept_links", (self.kept or {}).get("links", 0), manifest=self.manifest)


def main():
    loader, load, families = Daemon().loader(), Load(), sched.Families()
    before = left.everything()
    for manifest in ("own.yaml", "keeping.yaml"):
        often = Often(manifest, loader, load)
        for number in range(KILLS_OF_EACH):
            often.live(number, before)
        often.add(families)
    os.remove(KEPT)
    for kind, more in left.beyond(before).items():
        families.gauge("left_at_last", more, what=kind)
    load.worker.end()
    families.print()


main()
