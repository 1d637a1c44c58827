"""Kills a daemon that has every probe while what it watches goes on, and starts it again: are its counts those of its own
lifetime, is nothing left behind, and does another daemon notice?

What is counted is counted here by who did it. Things are under way when the daemon dies, and others when it comes back: a
request that is half sent, a connection attempt that nobody answers, a process between two calls of the function, tasks
that sleep. Neither life may make anything of what it saw one half of.
"""

import collections
import errno
import socket
import subprocess
import time

import left
from daemon import Daemon, OwnDaemon
from lives import Lives
from work import PASSED, TWIN, Client, Load, lines, start

BLACKHOLE = ("10.9.2.7", 7000)
OWN_PORT = 9465


def main():
    lives, load = Lives(), Load()
    subprocess.run(["ip", "route", "add", "10.9.2.0/24", "via", PASSED], check=True)
    laboratory = Daemon()
    daemon = OwnDaemon("own.yaml", laboratory.loader(), OWN_PORT)
    before, waits_before = left.everything(), load.worker.waits()

    daemon.start()
    there = left.beyond(before)
    assert there["programs"] >= 10 and there["maps"] >= 10 and there["packet_sockets"] == 2, there
    lives.families.gauge("watched_breakpoints", left.breakpoints(TWIN))
    first = load.work(3)
    # Under way from here on: a call now, one while nobody watches, the others after; and so on.
    survivor = start(TWIN, 4, 20)
    survivor.stdout.readline()
    first["calls twin"] += 1
    across = Client()
    across.ask_half(200)
    pending = socket.socket()
    pending.setblocking(False)
    assert pending.connect_ex(BLACKHOLE) == errno.EINPROGRESS
    first["waits"] = load.worker.waits() - waits_before
    reading = daemon.read()
    lives.add("first", "own", first, reading)
    lives.families.gauge("under_way", int(reading.sum("http_server_requests_in_flight")), what="request")
    lives.families.gauge("under_way", int(reading.sum("tcp_connects_pending")), what="attempt")

    load.worker.begin(6)
    time.sleep(0.002)
    daemon.kill()
    unwatched = collections.Counter(load.worker.finish(6))
    lives.add_left("killed", before)
    across.ask_rest()
    survivor.stdout.readline()
    unwatched += {"http 200": 1, "calls twin": 1}
    unwatched += load.work(2)
    for family, count in zip(("listed_sent", "listed_arrived"), load.listed):
        lives.families.gauge(family, count, when="unwatched")

    # Before its hooks are all in place, too.
    daemon.begin()
    time.sleep(0.5)
    daemon.kill()
    lives.add_left("killed early", before)

    # It sees the second half of this.
    late = Client()
    late.ask_half(200)
    waits_before_second = load.worker.waits()
    daemon.start()
    late.ask_rest()
    pending.close()
    second = load.work(4)
    second["calls twin"] += lines(survivor)
    late.ask(404)
    second["http 404"] += 1
    second["waits"] = load.worker.waits() - waits_before_second
    lives.add("second", "own", second, daemon.read())
    daemon.end()
    lives.add_left("ended", before)

    whole = first + unwatched + second
    whole += {"http 200": 1, "connect aborted": 1}
    whole["waits"] = load.worker.waits()
    reading = laboratory.read()
    lives.add("whole", "laboratory", whole, reading)
    load.worker.end()
    lives.families.print()


main()
