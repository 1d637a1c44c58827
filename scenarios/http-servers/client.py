#!/usr/bin/env python3
"""Speaks to nginx and to the standard library's server in the ways that HTTP/1.x allows, and counts the answers.

Prints OpenMetrics text. Whatever nginx passes on to the other server is on the wire twice, and counted so.
"""

import collections
import socket
import time

NGINX, BACKEND = ("127.0.0.1", 8001), ("127.0.0.1", 8002)
HOST = b"Host: lab\r\n"
COUNTS = collections.Counter()


class Connection:
    def __init__(self, address, receive_bytes=None):
        self.socket = socket.socket()
        if receive_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part)

    def head(self):
        """Status and headers."""
        status = int(self.file.readline().split(b" ")[1])
        headers = {}
        while (line := self.file.readline()) != b"\r\n":
            name, _, value = line.partition(b":")
            headers[name.lower().decode()] = value.strip().decode()
        return status, headers

    def answer(self, method, expected, hops=1):
        status, headers = self.head()
        assert status == expected, f"{method}: {status}, not {expected}"
        if method == "HEAD" or status in (204, 304):
            pass
        elif headers.get("transfer-encoding") == "chunked":
            while size := int(self.file.readline().split(b";")[0], 16):
                self.file.read(size + 2)
            while self.file.readline() != b"\r\n":
                pass
        elif "content-length" in headers:
            self.file.read(int(headers["content-length"]))
        else:
            self.file.read()
        COUNTS[method, status] += hops
        return headers

    def ask(self, method, path, expected, *headers, hops=1):
        lines = b"".join(header + b"\r\n" for header in headers)
        self.send(b"%s %s HTTP/1.1\r\n%s%s\r\n" % (method.encode(), path.encode(), HOST, lines))
        return self.answer(method, expected, hops)

    def close(self):
        self.socket.shutdown(socket.SHUT_WR)
        self.file.read()
        self.socket.close()


def keep_alive():
    connection = Connection(NGINX)
    for _ in range(10):
        for status in (200, 204, 302, 503):
            connection.ask("GET", f"/status/{status}", status)
        connection.ask("HEAD", "/status/200", 200)
        connection.ask("GET", "/nowhere", 404)
    # A file: whole, in part, unchanged.
    tag = connection.ask("GET", "/nginx.conf", 200)["etag"]
    connection.ask("GET", "/nginx.conf", 206, b"Range: bytes=10-99")
    connection.ask("GET", "/nginx.conf", 304, b"If-None-Match: " + tag.encode())
    # Compressed on the way, which makes chunks of it; by default only text/html is, such as nginx's error pages.
    headers = connection.ask("GET", "/nowhere", 404, b"Accept-Encoding: gzip")
    assert headers.get("transfer-encoding") == "chunked", headers
    connection.ask("PUT", "/nginx.conf", 405)
    connection.close()


def pipelining():
    for count in (2, 8, 40):
        connection = Connection(NGINX)
        statuses = [(200, 204, 503)[index % 3] for index in range(count)]
        connection.send(b"".join(b"GET /status/%d HTTP/1.1\r\n%s\r\n" % (status, HOST) for status in statuses))
        for status in statuses:
            connection.answer("GET", status)
        connection.close()


def chunks():
    for address, prefix, hops in ((BACKEND, "", 1), (NGINX, "/proxied", 2)):
        connection = Connection(address)
        for number, count in ((1, 1), (3, 100), (50, 10), (20, 20000), (0, 0)):
            connection.ask("GET", f"{prefix}/chunked/{number}/{count}", 200, hops=hops)
        connection.close()
    # A request in chunks; nginx passes it on with a length.
    connection = Connection(NGINX)
    connection.send(b"POST /proxied/ HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n",
                    b"3\r\nabc\r\n", b"1000\r\n" + b"d" * 4096 + b"\r\n", b"0\r\n\r\n")
    connection.answer("POST", 201, hops=2)
    connection.close()


def continues():
    for address, path, hops in ((BACKEND, b"/", 1), (NGINX, b"/proxied/", 2)):
        connection = Connection(address)
        for _ in range(3):
            connection.send(b"POST %s HTTP/1.1\r\n%sExpect: 100-continue\r\nContent-Length: 5\r\n\r\n" % (path, HOST))
            status, _ = connection.head()
            assert status == 100, status
            connection.send(b"hello")
            connection.answer("POST", 201, hops)
        connection.close()


def zero_window_probes():
    with open("/proc/net/netstat", encoding="ascii") as file:
        names, values = (line.split() for line in file.readlines()[:2])
    return int(values[names.index("TCPWinProbe")])


def closed_window():
    """A client that does not read: the server's kernel asks again and again whether there is room."""
    before = zero_window_probes()
    connection = Connection(BACKEND, receive_bytes=4096)
    connection.send(b"GET /chunked/20/20000 HTTP/1.1\r\n" + HOST + b"\r\n")
    time.sleep(3)
    connection.answer("GET", 200)
    connection.close()
    assert zero_window_probes() > before, "the window was never closed for long"


def ends_with_the_connection():
    for size in (0, 10, 50000):
        connection = Connection(BACKEND)
        connection.send(b"GET /chunked/3/%d HTTP/1.0\r\n\r\n" % size)
        connection.answer("GET", 200)
        connection.close()
    connection = Connection(NGINX)
    connection.ask("GET", "/status/200", 200, b"Connection: close")
    connection.close()


def main():
    for conversation in (keep_alive, pipelining, chunks, continues, closed_window, ends_with_the_connection):
        conversation()
    print("# TYPE client_exchanges counter")
    for (method, status), count in sorted(COUNTS.items()):
        print(f'client_exchanges_total{{http_request_method="{method}",http_response_status_code="{status}"}} {count}')
    print("# EOF")


if __name__ == "__main__":
    main()
