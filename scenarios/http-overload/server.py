#!/usr/bin/env python3
"""A web server that answers as the path asks for, and writes an exchange log. A thread per connection, no framework.

    /status/STATUS[/BYTES]          a body of that many bytes, with its length
    /chunked/STATUS/BYTES/CHUNKS    the same in chunks, each written by itself

    server.py ADDRESS PORT LOG
"""

import json
import socket
import sys
import threading
import time

lock = threading.Lock()


class Input:
    """What a client has sent and nobody has read."""

    def __init__(self, connection):
        self.connection, self.data = connection, b""

    def fill(self):
        more = self.connection.recv(65536)
        self.data += more
        return bool(more)

    def head(self):
        """The next request's head, or None at the end."""
        while b"\r\n\r\n" not in self.data:
            if not self.fill():
                return None
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        return head.decode()

    def skip(self, count):
        while len(self.data) < count:
            if not self.fill():
                return
        self.data = self.data[count:]


def body_bytes(head):
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


def answers(target):
    """Status and the parts to write one by one."""
    kind, status, *numbers = target.strip("/").split("/")
    count, chunks = [int(number) for number in [*numbers, 0, 1][:2]] if numbers else (0, 1)
    body = b"as asked for\n" * (count // 13) + b"!" * (count % 13)
    head = b"HTTP/1.1 %s As-Asked\r\n" % status.encode()
    if kind == "status":
        return int(status), [head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)]
    parts = [head + b"Transfer-Encoding: chunked\r\n\r\n"]
    for index in range(chunks):
        part = body[len(body) * index // chunks:len(body) * (index + 1) // chunks]
        parts.append(b"%x\r\n%s\r\n" % (len(part), part))
    return int(status), [*parts, b"0\r\n\r\n"]


def serve(connection, client, log):
    host, port = client[:2]
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    data = Input(connection)
    number = 0
    while (head := data.head()) is not None:
        start_ns = time.monotonic_ns()
        number += 1
        method, target = head.split(" ")[:2]
        data.skip(body_bytes(head))
        status, parts = answers(target)
        for part in parts[:-1]:
            connection.sendall(part)
        line = {"client": name, "n": number, "method": method, "status": status,
                "start_ns": start_ns, "end_ns": time.monotonic_ns()}
        # Written before the last byte is sent, so that whoever has the answer finds the line.
        with lock:
            log.write(json.dumps(line) + "\n")
        connection.sendall(parts[-1])
    connection.close()


def main():
    address, port, path = sys.argv[1:]
    with open(path, "w", buffering=1, encoding="ascii") as log:
        is_ipv6 = ":" in address
        family = socket.AF_INET6 if is_ipv6 else socket.AF_INET
        # `::` stands for every address of either family.
        listener = socket.create_server((address, int(port)), family=family, dualstack_ipv6=is_ipv6)
        while True:
            connection, client = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection, client, log), daemon=True).start()


if __name__ == "__main__":
    main()
