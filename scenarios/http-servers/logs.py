#!/usr/bin/env python3
"""Counts what web servers wrote down, one JSON object with method and status per line. Prints OpenMetrics text.

    logs.py FILE...
"""

import collections
import json
import sys
import time


def main():
    # A server may write a line after the answer is with the client.
    time.sleep(0.2)
    counts = collections.Counter()
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            for line in file:
                exchange = json.loads(line)
                counts[exchange["method"], exchange["status"]] += 1
    print("# TYPE servers_exchanges counter")
    for (method, status), count in sorted(counts.items()):
        print(f'servers_exchanges_total{{http_request_method="{method}",http_response_status_code="{status}"}} {count}')
    print("# EOF")


if __name__ == "__main__":
    main()
