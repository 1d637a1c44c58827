#!/usr/bin/env python3
"""The standard library's web server: chunks written one by one, answers that end with the connection, 100-continue.

    backend.py ADDRESS PORT LOG
"""

import http.server
import json
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        """/chunked/CHUNKS/BYTES: so many chunks of so many bytes. Whoever speaks HTTP/1.0 gets no chunks."""
        _, _, chunks, count = self.path.split("/")
        is_chunked = self.request_version == "HTTP/1.1"
        self.send_response(200)
        if is_chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(int(chunks)):
            part = b"z" * int(count)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part) if is_chunked else part)
        if is_chunked:
            self.wfile.write(b"0\r\nChecksum: none\r\n\r\n")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_request(self, code="-", size="-"):
        # The interim answer of 100-continue is no exchange, and is not sent through here.
        self.server.log.write(json.dumps({"method": self.command, "status": int(code)}) + "\n")

    def log_message(self, *_):
        pass


def main():
    address, port, path = sys.argv[1:]
    server = http.server.ThreadingHTTPServer((address, int(port)), Handler)
    with open(path, "w", buffering=1, encoding="ascii") as server.log:
        server.serve_forever()


if __name__ == "__main__":
    main()
