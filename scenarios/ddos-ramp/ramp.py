"""Traffic with a scheduled job and a deploy in it, then an attack that doubles every four seconds: is only the attack
warned of, before it is too much? What is warned of is then blocked for a while, and let through again after that.

The sender knows when its own attack would have reached the limit. Both ends count for themselves.
"""

import math
import subprocess
import time

from frames import Namespace, await_metric, metric, replace, socket

LIMIT = 600  # packets per second
PORT = 9465  # of the daemon that watches for a build-up
STEP_SECONDS = 0.1
ATTACKER, CLIENT, VICTIM = "10.7.0.66", "10.7.0.2", ("10.7.0.1", 9000)
LIST = "/lab/ramp/blocklist.txt"
TTL_SECONDS = 12
DAEMON = ["/lab/bin/probed", "run", "--manifest", "traffic.yaml", "--listen", f"127.0.0.1:{PORT}",
          "--traffic-limit", str(LIMIT), "--window", "1"]


class Traffic:
    """Two senders and one receiver of datagrams."""

    def __init__(self):
        self.receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.receiver.bind(VICTIM)
        self.receiver.setblocking(False)
        self.senders, self.sent, self.received, self.due = {}, {}, {}, {}
        with Namespace("sender"):
            for address in (ATTACKER, CLIENT):
                self.senders[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.senders[address].bind((address, 0))
                self.sent[address] = self.received[address] = self.due[address] = 0
        self.last_second, self.peak = [], 0
        self.next = time.monotonic()

    def step(self, **rates):
        """Sends for a tenth of a second at these rates."""
        for address, rate in ((ATTACKER, rates.get("attacker", 0)), (CLIENT, rates["client"])):
            self.due[address] += rate * STEP_SECONDS
            while self.sent[address] < math.floor(self.due[address]):
                self.senders[address].sendto(b"x" * 64, VICTIM)
                self.sent[address] += 1
        self.next += STEP_SECONDS
        time.sleep(max(0.0, self.next - time.monotonic()))
        self.look()

    def look(self):
        count = 0
        while True:
            try:
                _, (address, _) = self.receiver.recvfrom(2048)
            except BlockingIOError:
                break
            self.received[address] += 1
            count += 1
        self.last_second = (self.last_second + [count])[-round(1 / STEP_SECONDS):]
        self.peak = max(self.peak, sum(self.last_second))

    def hold(self, seconds, **rates):
        for _ in range(round(seconds / STEP_SECONDS)):
            self.step(**rates)


def warnings():
    return metric("traffic_trend_warnings_total", port=PORT)


def await_ready(daemon):
    for _ in range(1000):
        assert daemon.poll() is None, "the daemon ended"
        try:
            with socket.create_connection(("127.0.0.1", PORT)):
                return
        except OSError:
            time.sleep(0.02)
    raise SystemExit("the daemon does not answer")


def ordinary(traffic):
    """A scheduled job twice, then a deploy that doubles the traffic; all of it below the limit."""
    traffic.hold(13, client=40)
    for _ in range(2):
        traffic.hold(2, client=400)
        traffic.hold(7, client=40)
    traffic.hold(14, client=80)


def attack_rate(second):
    return 10 * 2 ** (second / 4)


def attack(traffic):
    """Until it is warned of. When that was, and when the limit would have been reached, in seconds of the attack."""
    known, second = warnings(), 0.0
    while warnings() == known:
        assert attack_rate(second) < 4 * LIMIT, "nobody warned"
        for _ in range(5):
            traffic.step(client=80, attacker=attack_rate(second))
            second += STEP_SECONDS
    return second, 4 * math.log2((LIMIT - 80) / 10)


def block(traffic, second):
    """Names the attacker, and lets the attack go on for a while. How much of it arrived once it was blocked."""
    replace(LIST, f"{ATTACKER} drop ttl={TTL_SECONDS}\n")
    for _ in range(100):
        if metric("xdp_blocklist_entries") == 1:
            break
        traffic.step(client=80, attacker=attack_rate(second))
        second += STEP_SECONDS
    traffic.hold(0.1, client=80)
    before = traffic.received[ATTACKER]
    for _ in range(60):
        traffic.step(client=80, attacker=attack_rate(second))
        second += STEP_SECONDS
    return traffic.received[ATTACKER] - before


def recover(traffic):
    """Waits for the entry's end. How much of what the former attacker sends then arrives."""
    await_metric("xdp_blocklist_entries", 0, lambda: traffic.hold(0.5, client=80))
    before = traffic.received[ATTACKER]
    traffic.hold(2, client=80, attacker=10)
    traffic.hold(0.2, client=80)
    return traffic.received[ATTACKER] - before


def gauge(name, value):
    print(f"# TYPE {name} gauge\n{name} {value}")


def main():
    daemon = subprocess.Popen(DAEMON, stderr=subprocess.DEVNULL)
    await_ready(daemon)
    traffic = Traffic()
    ordinary(traffic)
    gauge("ordinary_warnings", warnings())
    gauge("ordinary_peak_packets", traffic.peak)
    traffic.peak = 0
    warned, at_limit = attack(traffic)
    gauge("attack_warnings", warnings())
    gauge("warned_before_limit_seconds", at_limit - warned)
    gauge("blocked_attack_received", block(traffic, warned))
    gauge("attack_peak_packets", traffic.peak)
    gauge("recovered_received", recover(traffic))
    gauge("warning_after_recovery", metric("traffic_trend_warning", port=PORT))
    daemon.terminate()
    assert daemon.wait() == 0
    traffic.look()
    lost = traffic.sent[ATTACKER] - traffic.received[ATTACKER]
    gauge("attack_lost", lost)
    gauge("client_lost", traffic.sent[CLIENT] - traffic.received[CLIENT])
    print("# EOF")


main()
