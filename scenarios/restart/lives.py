"""What was done in a daemon's life, and what it counted."""

import left
import sched
from work import PROGRAM, TWIN

# Where a daemon says how much it counted of what.
COUNTED = {
    "http 200": ("http_server_request_duration_seconds_count", {"http_response_status_code": "200"}),
    "http 404": ("http_server_request_duration_seconds_count", {"http_response_status_code": "404"}),
    "discarded udp": ("drop_packets_total", {"verdict": "discarded", "protocol": "udp"}),
    "dropped": ("xdp_packets_total", {"verdict": "drop"}),
    "calls twin": ("function_calls_total", {"program": TWIN}),
    "calls triangle": ("function_calls_total", {"program": PROGRAM}),
    "connect refused": ("tcp_connects_total", {"outcome": "refused", "cgroup": "/worker"}),
    "connect aborted": ("tcp_connects_total", {"outcome": "aborted"}),
    "open ok": ("open_total", {"result": "ok", "cgroup": "/worker"}),
    "open ENOENT": ("open_total", {"result": "ENOENT", "cgroup": "/worker"}),
    "exec ok": ("exec_total", {"result": "ok", "cgroup": "/execs"}),
    "exec ENOENT": ("exec_total", {"result": "ENOENT", "cgroup": "/execs"}),
    "waits": ("runq_latency_seconds_count", {"cgroup": "/worker"}),
}
NOT_WATCHED = {"own": ["calls triangle"], "laboratory": ["calls twin", "dropped"]}


class Lives:
    """What was done and what was counted, life by life."""

    def __init__(self):
        self.families = sched.Families()

    def add(self, life, watcher, done, reading):
        for what, (series, labels) in COUNTED.items():
            if what not in NOT_WATCHED[watcher]:
                self.families.gauge("done", done.get(what, 0), life=life, what=what)
                self.families.gauge("counted", int(reading.sum(series, **labels)), life=life, what=what)
        for name in ("probelab_lost_total", "probelab_hits_unaccounted"):
            self.families.gauge("must_be_zero", int(reading.sum(name)), life=life, what=name)

    def add_left(self, when, before):
        for kind, more in left.beyond(before).items():
            self.families.gauge("left", more, when=when, what=kind)
        self.families.gauge("left", left.breakpoints(TWIN), when=when, what="breakpoints")
