#!/usr/bin/env python3
"""Puts crafted HTTP conversations on the wire, frame by frame, and says what a probe must have seen.

Every case carries its own expectation, written down beside it; nothing here parses HTTP. Frames go out of one end of
a veth pair, so that a probe on the other end sees both directions of each conversation arrive.

    wire.py --interface wire0 --truth truth.txt [--setup wire1]
"""

import argparse
import collections
import ipaddress
import os
import socket
import struct
import subprocess
import time

ETH_P_ALL = 3
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
PORT = 8000
LIMIT = 60000  # payload bytes in one segment, below the veth's MTU


class Truth:
    """What must be counted."""

    def __init__(self):
        self.requests = collections.Counter()
        self.unparsed = collections.Counter()
        self.aborted = collections.Counter()
        self.unknown = collections.Counter()
        self.connections = 0
        self.frames = 0

    def text(self):
        lines = []

        def family(name, help_text, samples):
            lines.append(f"# HELP {name} {help_text}")
            lines.append(f"# TYPE {name} counter")
            for labels, value in sorted(samples):
                pairs = ",".join(f'{key}="{text}"' for key, text in labels)
                lines.append(f"{name}_total{{{pairs}}} {value}" if pairs else f"{name}_total {value}")

        family("wire_requests", "Requests with a whole response.", [
            ((("http_request_method", method), ("http_response_status_code", str(status))), count)
            for (method, status), count in self.requests.items()
        ])
        family("wire_unparsed", "Connections that are not HTTP/1.x.",
               [((("kind", kind),), count) for kind, count in self.unparsed.items()])
        family("wire_aborted", "Requests given up before the response was whole.",
               [((("by", by),), count) for by, count in self.aborted.items()])
        family("wire_unknown", "Requests whose response cannot be told.",
               [((("reason", reason),), count) for reason, count in self.unknown.items()])
        family("wire_connections", "Conversations injected.", [((), self.connections)])
        family("wire_frames", "Frames injected.", [((), self.frames)])
        return "\n".join(lines) + "\n# EOF\n"


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Wire:
    """The interface frames go to."""

    def __init__(self, interface, truth):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, 0))
        self.truth = truth

    def send(self, ethertype, payload, tags=()):
        header = b"\x02\0\0\0\0\x02" + b"\x02\0\0\0\0\x01"
        for protocol, tag in tags:
            header += struct.pack("!HH", protocol, tag)
        self.socket.send((header + struct.pack("!H", ethertype) + payload).ljust(60, b"\xAA"))
        self.truth.frames += 1


class Connection:
    """One TCP conversation, both ends of it."""

    next_port = 20000

    def __init__(self, wire, family=4, options=b"", extensions=(), tags=(), pppoe=False, port=None,
                 server_port=PORT, handshake=True):
        self.wire, self.family, self.options, self.tags, self.pppoe = wire, family, options, tags, pppoe
        self.extensions, self.server_port = extensions, server_port
        if port is None:
            port = Connection.next_port
            Connection.next_port += 1
        self.port = port
        # Starting just below 2**32 makes sequence numbers wrap within many of the conversations.
        self.client, self.server = (0xFFFFFFF0 + port) & 0xFFFFFFFF, (0xFFFFFFE0 - port) & 0xFFFFFFFF
        wire.truth.connections += 1
        if handshake:
            self.segment(True, b"", SYN)
            self.segment(False, b"", SYN | ACK)
            self.segment(True, b"")

    def segment(self, from_client, data, flags=ACK, offset=0, advance=True, fragment=0):
        """Sends one segment. `offset` moves it in the stream; without `advance` the stream stays where it is."""
        ours, theirs = (self.client, self.server) if from_client else (self.server, self.client)
        sequence = (ours + offset) & 0xFFFFFFFF
        acknowledged = theirs if flags & ACK else 0
        ports = (self.port, self.server_port) if from_client else (self.server_port, self.port)
        tcp = struct.pack("!HHIIBBHHH", *ports, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0) + data
        if self.family == 4:
            ends = [b"\x0a\x63\0\x01", b"\x0a\x63\0\x02"]
            source, destination = ends if from_client else ends[::-1]
            words = 5 + len(self.options) // 4
            header = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(tcp), 1, fragment, 64, 6, 0)
            header += source + destination + self.options
            header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
            self.packet(0x0800, header + tcp)
        else:
            ends = [ipaddress.ip_address("fd00::1").packed, ipaddress.ip_address("fd00::2").packed]
            source, destination = ends if from_client else ends[::-1]
            kinds = [kind for kind, _ in self.extensions] + [6]
            body = b""
            for index, (_, content) in enumerate(self.extensions):
                body += bytes([kinds[index + 1]]) + content
            header = struct.pack("!IHBB", 6 << 28, len(body) + len(tcp), kinds[0], 64) + source + destination
            self.packet(0x86DD, header + body + tcp)
        if advance:
            step = len(data) + bool(flags & SYN) + bool(flags & FIN)
            if from_client:
                self.client = (self.client + step) & 0xFFFFFFFF
            else:
                self.server = (self.server + step) & 0xFFFFFFFF

    def packet(self, ethertype, packet):
        if self.pppoe:
            protocol = {0x0800: 0x0021, 0x86DD: 0x0057}[ethertype]
            ethertype, packet = 0x8864, struct.pack("!BBHHH", 0x11, 0, 1, len(packet) + 2, protocol) + packet
        self.wire.send(ethertype, packet, self.tags)

    def ask(self, *parts):
        for part in parts:
            self.segment(True, part, ACK | PSH)
        self.segment(False, b"")

    def answer(self, *parts):
        for part in parts:
            for start in range(0, len(part), LIMIT):
                self.segment(False, part[start:start + LIMIT], ACK | PSH)
        self.segment(True, b"")

    def close(self):
        self.segment(True, b"", FIN | ACK)
        self.segment(False, b"", FIN | ACK)
        self.segment(True, b"")


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;note=1\r\nhello\r\n"
           b"13\r\nHTTP/1.1 500 Oops\r\n\r\n0\r\nChecksum: 1\r\n\r\n")
POST = b"POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\nGET / HTTP/1.1\n"

CASES = []


def case(function):
    CASES.append(function)
    return function


@case
def plain_and_keep_alive(wire, truth):
    connection = Connection(wire)
    for _ in range(20):
        connection.ask(GET)
        connection.answer(OK)
    connection.close()
    truth.requests["GET", 200] += 20


@case
def every_split(wire, truth):
    for request, method in ((GET, "GET"), (POST, "POST")):
        for cut in range(1, len(request)):
            connection = Connection(wire)
            connection.ask(request[:cut], request[cut:])
            connection.answer(OK)
            connection.close()
            truth.requests[method, 200] += 1
    for response in (OK, CHUNKED):
        for cut in range(1, len(response)):
            connection = Connection(wire)
            connection.ask(GET)
            connection.answer(response[:cut], response[cut:])
            connection.ask(GET)
            connection.answer(OK)
            connection.close()
            truth.requests["GET", 200] += 2
    connection = Connection(wire)
    connection.ask(*(bytes([byte]) for byte in POST))
    connection.answer(*(bytes([byte]) for byte in CHUNKED))
    connection.close()
    truth.requests["POST", 200] += 1


@case
def pipelining(wire, truth):
    for count in (2, 8):  # 8 fit the kernel's queue
        connection = Connection(wire)
        connection.ask(GET * count)
        connection.answer(OK * count)
        connection.close()
        truth.requests["GET", 200] += count
    connection = Connection(wire)
    connection.ask(GET * 40)  # more than the queue holds: user space decides
    connection.answer(OK * 39, CHUNKED)
    connection.ask(POST)
    connection.answer(OK)
    connection.close()
    truth.requests["GET", 200] += 40
    truth.requests["POST", 200] += 1
    connection = Connection(wire)
    connection.ask(GET[:10], GET[10:] + POST + GET[:3], GET[3:])
    connection.answer(OK + OK[:7], OK[7:] + OK)
    connection.close()
    truth.requests["GET", 200] += 2
    truth.requests["POST", 200] += 1


@case
def bodies(wire, truth):
    fake = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"
    connection = Connection(wire)
    for method, response, status in (
        (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(fake), fake), 200),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200),
        (b"HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
        (b"DELETE", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 999\r\n\r\n", 304),
        (b"OPTIONS", b"HTTP/1.1 200 OK\r\ncontent-LENGTH:0\r\n\r\n", 200),
        (b"PATCH", b"HTTP/1.1 422 \r\nContent-Length: 3\r\nX-Long: " + b"y" * 3000 + b"\r\n\r\nabc", 422),
        (b"TRACE", b"HTTP/1.0 405 No\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\n\r\n", 405),
        (b"BREW", b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n", 418),
        (b"GET", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, 200),
    ):
        connection.ask(method + b" / HTTP/1.1\r\nHost: x\r\nContent-Type: text\r\n\r\n")
        connection.answer(response)
        name = method.decode()
        truth.requests[name if name != "BREW" else "_OTHER", status] += 1
    connection.ask(b"PUT / HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.answer(b"HTTP/1.1 100 Continue\r\n\r\n")
    connection.ask(b"4\r\nabcd\r\n0\r\n\r\n")
    connection.answer(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
    truth.requests["PUT", 201] += 1
    connection.close()


@case
def upgrades(wire, truth):
    connection = Connection(wire)
    connection.ask(b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
    connection.answer(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    connection.ask(b"\x81\x05GET /")
    connection.answer(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.close()
    truth.requests["GET", 101] += 1
    connection = Connection(wire)
    connection.ask(b"CONNECT h:443 HTTP/1.1\r\n\r\n")
    connection.answer(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.ask(b"\x16\x03\x01\x00\x05hello")
    connection.close()
    truth.requests["CONNECT", 200] += 1


@case
def until_close(wire, truth):
    connection = Connection(wire)
    connection.ask(GET)
    connection.answer(b"HTTP/1.0 200 OK\r\n\r\nsome", b"thing HTTP/1.1 500 Oops\r\n\r\n")
    connection.segment(False, b"", FIN | ACK)
    connection.segment(True, b"", FIN | ACK)
    truth.requests["GET", 200] += 1
    connection = Connection(wire)
    connection.ask(GET)
    connection.segment(False, b"HTTP/1.0 503 No\r\n\r\nsorry", FIN | ACK)
    connection.segment(True, b"", FIN | ACK)
    truth.requests["GET", 503] += 1


@case
def aborts(wire, truth):
    for part in (b"", OK[:4], OK[:-1]):
        for by_client in (True, False):
            for flags in (RST | ACK, FIN | ACK):
                connection = Connection(wire)
                connection.ask(GET)
                if part:
                    connection.answer(part)
                connection.segment(by_client, b"", flags)
                if flags & FIN:
                    connection.segment(not by_client, b"", RST | ACK)
                truth.aborted["client" if by_client else "server"] += 1
    # A client that half-closes still gets its answer.
    connection = Connection(wire)
    connection.ask(GET)
    connection.segment(True, b"", FIN | ACK)
    connection.answer(OK)
    connection.segment(False, b"", FIN | ACK)
    truth.requests["GET", 200] += 1


@case
def port_reuse(wire, truth):
    connection = Connection(wire, port=19000)
    connection.ask(GET)
    connection = Connection(wire, port=19000)
    connection.client = (connection.client + 77777) & 0xFFFFFFFF
    connection.segment(True, b"", SYN)
    connection.ask(GET)
    connection.answer(OK)
    connection.close()
    truth.unknown["port_reuse"] += 1
    truth.requests["GET", 200] += 1


@case
def syn_again(wire, truth):
    # A SYN that was doubled arrives late: before the first request, in the middle of an exchange, between two of them,
    # and after user space took over because of a response that came out of order.
    connection = Connection(wire)
    opening = (connection.client - 1) & 0xFFFFFFFF

    def again(data=b""):
        offset = (opening - connection.client) & 0xFFFFFFFF
        connection.segment(True, data, SYN, offset=offset, advance=False)

    again()
    connection.ask(GET)
    again()
    connection.answer(OK[:20])
    again(GET)  # as TCP Fast Open sends it
    connection.answer(OK[20:])
    again()
    connection.ask(GET)
    connection.segment(False, OK[10:], offset=10, advance=False)
    again()
    connection.segment(False, OK[:10], advance=False)
    connection.server = (connection.server + len(OK)) & 0xFFFFFFFF
    again()
    connection.ask(GET)
    connection.answer(OK)
    connection.close()
    truth.requests["GET", 200] += 3


@case
def open_at_attach(wire, truth):
    connection = Connection(wire, handshake=False)
    connection.answer(b"the end of something\r\n\r\n")
    connection.ask(b"more of a body GET / HTTP/1.1\r\n\r\n")
    connection.ask(GET[:6], GET[6:])
    connection.answer(OK)
    connection.ask(GET)
    connection.answer(CHUNKED)
    connection.close()
    truth.requests["GET", 200] += 2


@case
def network_layers(wire, truth):
    hop, destination, routing = (0, b"\0\1\4\0\0\0\0"), (60, b"\0\1\4\0\0\0\0"), (43, b"\0\4\0\0\0\0\0")
    atomic = (44, b"\0\0\0\0\0\0\7")
    authentication = (51, b"\4\0\0" + b"\0" * 20)
    for arguments in (
        {"options": b"\x01" * 4}, {"options": b"\x01" * 40},
        {"family": 6},
        {"family": 6, "extensions": (hop,)},
        {"family": 6, "extensions": (hop, destination, routing, atomic, authentication)},
        {"tags": ((0x8100, 5),)}, {"family": 6, "tags": ((0x8100, 5),)},
        {"tags": ((0x88A8, 7), (0x8100, 5))}, {"family": 6, "tags": ((0x88A8, 7), (0x8100, 0x4005))},
        {"pppoe": True}, {"family": 6, "pppoe": True}, {"tags": ((0x8100, 5),), "pppoe": True},
        {"tags": ((0x88A8, 7), (0x8100, 5)), "pppoe": True},
    ):
        connection = Connection(wire, **arguments)
        connection.ask(GET)
        connection.answer(OK[:20], OK[20:])
        connection.close()
        truth.requests["GET", 200] += 1


@case
def fragments(wire, truth):
    # Both fragments of the request are undecided: the probe must not read ports or HTTP out of them.
    connection = Connection(wire, handshake=False)
    connection.segment(True, GET, fragment=0x2000)
    connection.segment(True, GET, fragment=0x0010)


@case
def large(wire, truth):
    body = b"GET / HTTP/1.1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" * 10000
    connection = Connection(wire)
    connection.ask(GET)
    connection.answer(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    chunks = b"".join(b"%x\r\n%s\r\n" % (size, b"z" * size) for size in range(1, 120))
    connection.ask(b"POST /up HTTP/1.1\r\nContent-Length: 50000\r\n\r\n" + b"u" * 50000)
    connection.answer(OK)
    # Hundreds of short chunks in one segment: more structure than the kernel half follows.
    connection.ask(GET)
    connection.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks * 4 + b"0\r\n\r\n")
    connection.ask(GET)
    connection.answer(OK)
    connection.close()
    truth.requests["GET", 200] += 3
    truth.requests["POST", 200] += 1


@case
def order(wire, truth):
    # Retransmissions, whole and in part.
    connection = Connection(wire)
    connection.segment(True, GET, advance=False)
    connection.segment(True, GET)
    connection.segment(False, OK[:30])
    connection.segment(False, OK[:30], offset=-30, advance=False)
    connection.segment(False, OK[20:], offset=-10, advance=False)
    connection.server = (connection.server + len(OK) - 30) & 0xFFFFFFFF
    connection.segment(False, b"\0", offset=-1, advance=False)
    connection.segment(True, b"")
    connection.ask(GET)
    connection.answer(OK)
    connection.close()
    truth.requests["GET", 200] += 2
    # Two segments in the wrong order, of either direction.
    for request in (True, False):
        connection = Connection(wire)
        message = GET if request else OK
        if not request:
            connection.ask(GET)
        connection.segment(request, message[10:], offset=10, advance=False)
        connection.segment(request, message[:10], advance=False)
        if request:
            connection.client = (connection.client + len(message)) & 0xFFFFFFFF
            connection.answer(OK)
        else:
            connection.server = (connection.server + len(message)) & 0xFFFFFFFF
            connection.segment(True, b"")
        connection.ask(GET)
        connection.answer(OK)
        connection.close()
        truth.requests["GET", 200] += 2


@case
def missing(wire, truth):
    # A segment of a response that is never seen, but confirmed: that request is unknown, the next one is not.
    connection = Connection(wire)
    connection.ask(GET)
    connection.answer(OK[:10])
    connection.server = (connection.server + 10) & 0xFFFFFFFF
    connection.answer(OK[20:])
    connection.ask(GET)
    connection.answer(OK)
    connection.close()
    truth.unknown["gap"] += 1
    truth.requests["GET", 200] += 1
    # The same for part of a request; its response must not be given to the next request.
    connection = Connection(wire)
    connection.ask(POST[:-10])
    connection.client = (connection.client + 5) & 0xFFFFFFFF
    connection.ask(POST[-5:])
    connection.answer(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    connection.ask(GET)
    connection.answer(OK)
    connection.close()
    truth.unknown["gap"] += 1
    truth.requests["GET", 200] += 1


@case
def not_http1(wire, truth):
    for kind, data in (
        ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"),
        ("http09", b"GET /\r\n"),
        ("request", b"\x00\x01\x02binary"),
        ("request", b"GET / HTTP/3.9\r\n\r\n"),
        ("incomplete_request", b"GET /half"),
    ):
        connection = Connection(wire)
        connection.ask(data)
        if kind != "incomplete_request":
            connection.answer(b"\x15\x03\x01\x00\x02\x02\x28")
        connection.close()
        truth.unparsed[kind] += 1
    connection = Connection(wire)
    connection.ask(GET)
    connection.answer(b"SSH-2.0-x\r\n")
    connection.close()
    truth.unparsed["response"] += 1
    truth.unknown["unparsed_response"] += 1
    connection = Connection(wire)
    connection.answer(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    connection.close()
    truth.unparsed["unsolicited_response"] += 1
    connection = Connection(wire)
    connection.ask(GET)
    connection.answer(OK + OK)
    connection.close()
    truth.requests["GET", 200] += 1
    truth.unparsed["unsolicited_response"] += 1


@case
def other_traffic(wire, truth):
    Connection(wire).close()  # a health check that says nothing
    connection = Connection(wire, server_port=8001)
    connection.ask(GET)
    connection.answer(OK)
    connection.close()
    udp = struct.pack("!HHHH", 8000, 8000, 8 + len(GET), 0) + GET
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, b"\x0a\x63\0\x01", b"\x0a\x63\0\x02")
    wire.send(0x0800, header + udp)
    wire.send(0x0806, b"\0" * 28)


def set_up(interface, peer):
    for command in (
        ["ip", "link", "add", interface, "mtu", "65535", "type", "veth", "peer", "name", peer, "mtu", "65535"],
        ["sysctl", "-q", "-w", f"net.ipv6.conf.{interface}.disable_ipv6=1"],
        ["sysctl", "-q", "-w", f"net.ipv6.conf.{peer}.disable_ipv6=1"],
        ["ip", "link", "set", interface, "up"],
        ["ip", "link", "set", peer, "up"],
    ):
        subprocess.run(command, check=command[0] == "ip")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interface", default="wire0", help="where frames are sent")
    parser.add_argument("--setup", metavar="PEER", help="create the veth pair and leave")
    parser.add_argument("--truth", metavar="FILE", help="where to write what must be counted")
    parser.add_argument("--only", metavar="NAME", action="append", help="only this case; may be repeated")
    parser.add_argument("--pause-seconds", type=float, default=0.0, help="between two cases")
    arguments = parser.parse_args()
    if arguments.setup:
        set_up(arguments.interface, arguments.setup)
        return
    truth = Truth()
    wire = Wire(arguments.interface, truth)
    for function in CASES:
        if arguments.only and function.__name__ not in arguments.only:
            continue
        function(wire, truth)
        time.sleep(arguments.pause_seconds)
    text = truth.text()
    if arguments.truth:
        temporary = f"{arguments.truth}.part"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, arguments.truth)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
