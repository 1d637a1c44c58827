"""The same events twice: `report` reads what `probed slo report -f json` said, `log` counts the server's own log.

Both print OpenMetrics text with the same series. The log knows nothing of windows: an event counts when its response
ended in the last minute, and the minute before it was silent, so that a few milliseconds do not matter.
"""

import json
import sys
import time

REPORT_PATH = "/lab/out/load.report"
LOG_PATH = "/lab/out/server.jsonl"
WINDOW_NS = 60_000_000_000
LATENCY = "99.5% of the responses are under 150ms"
AVAILABILITY = "99% of the responses to our users are in the 2xx class"
LATENCY_TARGET_NS = 150_000_000


def show(events, others):
    print("# TYPE slo_events gauge")
    for (slo, outcome), count in sorted(events.items()):
        print(f'slo_events{{outcome="{outcome}",slo="{slo}"}} {count}')
    for name, value in others.items():
        print(f"# TYPE {name} gauge")
        print(f"{name} {value}")
    print("# EOF")


def from_report():
    with open(REPORT_PATH, encoding="utf-8") as file:
        objectives = json.load(file)["objectives"]
    events = {}
    for objective in objectives:
        for outcome in ("good", "bad"):
            events[objective["name"], outcome] = objective["events"][outcome]
        events[objective["name"], "total"] = objective["total"]
    show(
        events,
        {
            "slo_unknown": sum(objective["events"]["unknown"] for objective in objectives),
            "slo_covered_seconds": min(objective["covered_seconds"] for objective in objectives),
            "slo_undecided": sum(objective["status"] not in ("met", "missed") for objective in objectives),
        },
    )


def from_log():
    begin_ns = time.monotonic_ns() - WINDOW_NS
    events = {(slo, outcome): 0 for slo in (LATENCY, AVAILABILITY) for outcome in ("good", "bad", "total")}
    before = 0
    with open(LOG_PATH, encoding="ascii") as file:
        for exchange in map(json.loads, file):
            if exchange["end_ns"] < begin_ns:
                before += 1
                continue
            is_fast = exchange["end_ns"] - exchange["start_ns"] <= LATENCY_TARGET_NS
            is_answered = 200 <= exchange["status"] < 300
            for slo, is_good in ((LATENCY, is_fast), (AVAILABILITY, is_answered)):
                events[slo, "good" if is_good else "bad"] += 1
                events[slo, "total"] += 1
    show(events, {"slo_before_window": before})


{"report": from_report, "log": from_log}[sys.argv[1]]()
