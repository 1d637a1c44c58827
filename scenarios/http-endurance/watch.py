"""What a daemon takes while something else goes on, and what `hey` counted."""

import os
import re
import time

import daemon


class Watch:
    """Its memory at moments that are asked for, and its share of one processor since the watch began.

    The share is what the scheduler gave all of its threads over the time that passed; in the virtual lane both are
    instructions.
    """

    def __init__(self):
        self.pid = daemon.number()
        self.resident_bytes = []
        self.begin = self.moment()

    def moment(self):
        run_ns = 0
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                run_ns += int(file.read().split()[0])
        return run_ns, time.monotonic_ns()

    def look(self):
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            self.resident_bytes.append(int(re.search(r"VmRSS:\s+(\d+) kB", file.read())[1]) * 1024)

    def show(self):
        run_ns, now_ns = (end - begin for begin, end in zip(self.begin, self.moment()))
        print("# TYPE daemon_resident_bytes gauge")
        print(f"daemon_resident_bytes {max(self.resident_bytes)}")
        print("# TYPE daemon_resident_growth_bytes gauge")
        print(f"daemon_resident_growth_bytes {max(self.resident_bytes) - min(self.resident_bytes)}")
        print("# TYPE daemon_processor_share gauge")
        print(f"daemon_processor_share {run_ns / now_ns:.6f}")


def answers(words):
    """Answers by status in the words of `hey`. A request without one is an error."""
    if "Error distribution" in words:
        raise RuntimeError(words)
    return {status: int(count) for status, count in re.findall(r"\[(\d{3})\]\s+(\d+) responses", words)}


def show_answers(counts):
    print("# TYPE client_exchanges counter")
    for status, count in sorted(counts.items()):
        print(f'client_exchanges_total{{http_request_method="GET",http_response_status_code="{status}"}} {count}')
