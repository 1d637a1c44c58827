#!/usr/bin/env python3
"""Asks a server for answers of many kinds, on several connections at once, and writes an exchange log.

    client.py ADDRESS PORT LOG
"""

import json
import random
import socket
import sys
import threading
import time

SEED_PATH = "/run/lab/seed"
THREADS, CONNECTIONS, REQUESTS = 4, 4, 25

lock = threading.Lock()


def read_answer(file):
    """Reads one answer and returns its status."""
    status = int(file.readline().split(b" ")[1])
    length, chunked = 0, False
    while (line := file.readline()) != b"\r\n":
        name, _, value = line.lower().partition(b":")
        if name == b"content-length":
            length = int(value)
        chunked |= name == b"transfer-encoding"
    if not chunked:
        file.read(length)
        return status
    while size := int(file.readline(), 16):
        file.read(size + 2)
    file.readline()
    return status


def converse(address, generator, log):
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = connection.makefile("rb")
        name = "%s:%d" % connection.getsockname()
        for number in range(1, REQUESTS + 1):
            method = generator.choice(("GET", "POST", "PUT"))
            status = generator.choice((200, 200, 200, 404, 500, 503))
            count = generator.choice((0, 10, 1000, 20000, 60000))
            chunks = generator.randrange(1, 30)
            target = generator.choice((f"/status/{status}/{count}", f"/chunked/{status}/{count + chunks}/{chunks}"))
            start_ns = time.monotonic_ns()
            # Everything fits one segment: a capture's reader starts its clock with a request's last one.
            connection.sendall(f"{method} {target} HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello".encode())
            line = {"client": name, "n": number, "method": method, "status": read_answer(file),
                    "start_ns": start_ns, "end_ns": time.monotonic_ns()}
            with lock:
                log.write(json.dumps(line) + "\n")
        connection.shutdown(socket.SHUT_WR)
        file.read()


def main():
    address, port, path = sys.argv[1:]
    with open(SEED_PATH, encoding="ascii") as file:
        seed = int(file.read())

    def work(number, log):
        generator = random.Random(f"{seed}/{number}")
        for _ in range(CONNECTIONS):
            converse((address, int(port)), generator, log)

    with open(path, "w", buffering=1, encoding="ascii") as log:
        threads = [threading.Thread(target=work, args=(number, log)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
