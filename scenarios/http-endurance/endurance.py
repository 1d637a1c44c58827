"""60,000 requests by hey, half of them on connections that are kept, half on one each.

The daemon's memory is looked at after each round but the first, which is the warm-up.
"""

import collections
import subprocess
import time

import watch
from daemon import Daemon

ROUNDS, REQUESTS = 6, 5_000


def request(*options):
    command = ["hey", "-n", str(REQUESTS), "-c", "5", *options, "http://127.0.0.1:8001/"]
    return watch.answers(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


counts, daemon = collections.Counter(), watch.Watch()
for turn in range(ROUNDS):
    counts.update(request())
    counts.update(request("-disable-keepalive"))
    Daemon().get("/metrics")
    if turn > 0:
        daemon.look()
watch.show_answers(counts)
daemon.show()
print("# EOF", flush=True)
# The server's log is written once a second.
time.sleep(2)
