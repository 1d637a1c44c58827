#!/usr/bin/env python3
"""Asks a server over several links, each by a method of its own.

    client.py PORT METHOD=ADDRESS...
"""

import http.client
import sys


def main():
    port, *links = sys.argv[1:]
    for link in links:
        method, address = link.split("=")
        for _ in range(3):
            connection = http.client.HTTPConnection(address, int(port))
            for status, count in ((200, 10), (503, 0), (200, 50000)):
                connection.request(method, f"/status/{status}/{count}", body=b"hello")
                answer = connection.getresponse()
                assert answer.status == status and len(answer.read()) == count
            connection.close()


if __name__ == "__main__":
    main()
