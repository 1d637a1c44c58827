"""Frames on a veth pair, seen at both of its ends: what is sent, what gets through, what comes back.

Every frame carries the number of its kind in the sender's link-layer address, which survives however short the frame
is cut. Nothing here knows of a blocklist.
"""

import collections
import ctypes
import os
import platform
import resource
import socket
import struct
import time

ETH_P_ALL = 3
SOL_PACKET, PACKET_STATISTICS, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE = 263, 6, 23, 33
UDP_PORT = 9000
UDP, TCP, ICMPV6 = 17, 6, 58


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def datagram(source, destination, payload=b"a datagram of some length"):
    length = 8 + len(payload)
    pseudo = packed(source) + packed(destination) + struct.pack("!II", length, UDP)
    head = struct.pack("!HHHH", 4000, UDP_PORT, length, 0)
    return head[:6] + struct.pack("!H", checksum(pseudo + head + payload) or 0xFFFF) + payload


def ipv4(source, destination, payload=None, words=5, fragment=0, protocol=UDP):
    payload = datagram(source, destination) if payload is None else payload
    header = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(payload), 1, fragment, 64, protocol, 0)
    header += packed(source) + packed(destination) + b"\1" * (words * 4 - 20)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(source, destination, payload=None, next_header=UDP, hops=64):
    payload = datagram(source, destination) if payload is None else payload
    header = struct.pack("!IHBB", 6 << 28, len(payload), next_header, hops)
    return header + packed(source) + packed(destination) + payload


class Namespace:
    """Where a block of code opens its sockets."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.back = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        os.setns(there, os.CLONE_NEWNET)
        os.close(there)

    def __exit__(self, *_):
        os.setns(self.back, os.CLONE_NEWNET)
        os.close(self.back)


def attach_passing_program(interface):
    """Hangs a program that lets everything pass on an interface.

    A veth device takes frames that its other end bounces (XDP_TX) only while it polls, as it does with a program.
    """
    # Before Linux 5.11 a program is charged against this limit, and its default is used up by the daemon's maps.
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)

    def bpf(command, attributes):
        buffer = ctypes.create_string_buffer(attributes, 128)
        descriptor = libc.syscall(number, command, buffer, 128)
        if descriptor < 0:
            raise OSError(ctypes.get_errno(), f"bpf({command})")
        return descriptor

    program_load, link_create, program_type, attach_type = 5, 28, 6, 37
    code = ctypes.create_string_buffer(struct.pack("<BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0), 16)
    licence = ctypes.create_string_buffer(b"Dual MIT/GPL")
    program = bpf(program_load, struct.pack("=IIQQIIQII16sII", program_type, 2, ctypes.addressof(code),
                                            ctypes.addressof(licence), 0, 0, 0, 0, 0, b"pass", 0, attach_type))
    return bpf(link_create, struct.pack("=IIII", program, socket.if_nametoindex(interface), attach_type, 0))


def tap(interface):
    """A socket that sees what arrives at an interface."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.bind((interface, ETH_P_ALL))
    sock.setblocking(False)
    return sock


def arrived(sock):
    """What came in since the last call."""
    while True:
        try:
            yield sock.recv(65536)
        except BlockingIOError:
            return


class Wire:
    """A veth pair: `near` is watched by the blocklist, `far` is in the sender's namespace."""

    def __init__(self, near, far, namespace, ipv4_address, ipv6_address):
        self.near, self.far = near, far
        self.ipv4_address, self.ipv6_address = ipv4_address, ipv6_address
        with open(f"/sys/class/net/{near}/address", encoding="ascii") as file:
            self.host = bytes.fromhex(file.read().strip().replace(":", ""))
        self.receiver = tap(near)
        self.datagrams = []
        for family, address in ((socket.AF_INET, ipv4_address), (socket.AF_INET6, ipv6_address)):
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
            sock.bind((address, UDP_PORT))
            sock.setblocking(False)
            self.datagrams.append(sock)
        with Namespace(namespace):
            self.sender = tap(far)
            self.link = attach_passing_program(far)
        self.sent, self.received, self.bounced = (collections.Counter() for _ in range(3))
        self.bytes = {}
        self.datagram_kinds, self.datagrams_received = set(), 0

    def send(self, kind, frame):
        """Sends a frame of a kind: 12 bytes for the link-layer addresses are put in front of it."""
        self.send_to(self.host, kind, frame)

    def send_to(self, host, kind, frame):
        whole = host + b"\x02\x01\0\0" + struct.pack("!H", kind) + frame
        self.sender.send(whole)
        self.sent[kind] += 1
        self.bytes[kind] = len(whole)

    def look(self):
        """Takes note of what arrived at both ends."""
        time.sleep(0.002)
        for frame in arrived(self.receiver):
            if frame[6:10] == b"\x02\x01\0\0":
                self.received[struct.unpack("!H", frame[10:12])[0]] += 1
        for frame in arrived(self.sender):
            if frame[:4] == b"\x02\x01\0\0" and frame[6:12] == self.host:
                self.bounced[struct.unpack("!H", frame[4:6])[0]] += 1
        self.datagrams_received += sum(1 for sock in self.datagrams for _ in arrived(sock))

    def check(self):
        """An end that lost frames is no oracle."""
        for sock in (self.receiver, self.sender):
            statistics = sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
            if struct.unpack("II", statistics)[1]:
                raise SystemExit("a socket lost frames")


def metrics(port=9464):
    """What a daemon serves now; the lab's own, if no other port is given."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        text = b""
        while part := sock.recv(65536):
            text += part
    return text.decode()


def metric(name, port=9464, **labels):
    """The sum of the daemon's samples of a name with these labels."""
    total, wanted = 0.0, [f'{label}="{value}"' for label, value in labels.items()]
    for line in metrics(port).splitlines():
        series, _, value = line.rpartition(" ")
        if (series == name or series.startswith(name + "{")) and all(pair in series for pair in wanted):
            total += float(value)
    return total


def await_metric(name, value, meanwhile=lambda: time.sleep(0.02), **labels):
    """Waits until a number of the daemon is what it should become."""
    for _ in range(400):
        if metric(name, **labels) == value:
            return
        meanwhile()
    raise SystemExit(f"{name} {labels} did not become {value}")


def replace(path, text):
    """Writes a file so that nobody sees half of it."""
    with open(path + ".part", "w", encoding="ascii") as file:
        file.write(text)
    os.replace(path + ".part", path)


def print_families(families):
    """`families`: name to counts by tuples of label and value pairs."""
    for name, samples in families.items():
        print(f"# TYPE {name} counter")
        for labels, value in sorted(samples.items()):
            pairs = ",".join(f'{label}="{text}"' for label, text in labels)
            print(f"{name}_total{{{pairs}}} {value}" if pairs else f"{name}_total {value}")
    print("# EOF")
