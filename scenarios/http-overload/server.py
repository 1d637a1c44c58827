#!/usr/bin/env python3
"""A web server on one port that answers with the status its path names, and writes an exchange log.

    server.py ADDRESS PORT LOG
"""

import json
import socket
import sys
import threading
import time

lock = threading.Lock()


def serve(connection, client, log):
    data = b""
    for number in range(1, 1 << 30):
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                connection.close()
                return
            data += more
        start_ns = time.monotonic_ns()
        head, data = data.split(b"\r\n\r\n", 1)
        method, target = head.decode().split(" ")[:2]
        status = int(target.rsplit("/", 1)[1])
        body = b"as asked for\n"
        answer = b"HTTP/1.1 %d As-Asked\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
        line = {"client": "%s:%d" % client, "n": number, "method": method, "status": status,
                "start_ns": start_ns, "end_ns": time.monotonic_ns()}
        # Written before it is sent, so that whoever has the answer finds the line.
        with lock:
            log.write(json.dumps(line) + "\n")
        connection.sendall(answer)


def main():
    address, port, path = sys.argv[1:]
    with open(path, "w", buffering=1, encoding="ascii") as log:
        listener = socket.create_server((address, int(port)))
        while True:
            connection, client = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection, client, log), daemon=True).start()


if __name__ == "__main__":
    main()
