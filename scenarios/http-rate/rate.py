"""How long a daemon with five probes takes until it serves metrics; then 10,000 requests a second for a minute.

Half of the requests are on connections that are kept, half on one each.
"""

import collections
import statistics
import subprocess
import time

import watch
from daemon import Daemon, OwnDaemon

STARTS, OWN_PORT = 5, 9465
SECONDS, WORKERS, EACH_PER_SECOND = 60, 25, 200
WARM_UP_SECONDS = 10


def start_seconds(loader):
    own = OwnDaemon("own.yaml", loader, OWN_PORT)
    begin = time.monotonic()
    own.begin()
    while own.get("/metrics") is None:
        time.sleep(0.001)
    seconds = time.monotonic() - begin
    own.end()
    return seconds


def begin_requests(*options):
    command = ["hey", "-z", f"{SECONDS}s", "-c", str(WORKERS), "-q", str(EACH_PER_SECOND), *options]
    return subprocess.Popen([*command, "http://127.0.0.1:8001/"], stdout=subprocess.PIPE, text=True)


laboratory = Daemon()
starts = [start_seconds(laboratory.loader()) for _ in range(STARTS)]
daemon, begin = watch.Watch(), time.monotonic()
clients = [begin_requests(), begin_requests("-disable-keepalive")]
time.sleep(WARM_UP_SECONDS)
while any(client.poll() is None for client in clients):
    # Ten times as often as a Prometheus server would.
    laboratory.get("/metrics")
    daemon.look()
    time.sleep(1)
seconds = time.monotonic() - begin
counts = collections.Counter()
for client in clients:
    counts.update(watch.answers(client.stdout.read()))
watch.show_answers(counts)
daemon.show()
print("# TYPE requests_per_second gauge")
print(f"requests_per_second {sum(counts.values()) / seconds:.0f}")
print("# TYPE daemon_start_seconds gauge")
print(f"daemon_start_seconds {statistics.median(starts):.6f}")
print("# EOF", flush=True)
# The server's log is written once a second.
time.sleep(2)
